import { Controller, Get } from '@nestjs/common';

/** Says what there is. */
@Controller('addresses')
export class AddressesController {
  @Get()
  list(): Record<string, string> {
    return {
      dashboard: 'GET /',
      chat: 'POST /v1/chat/completions',
      summary: 'GET /v1/usage/summary?userId=&from=&to=',
      entries: 'GET /v1/usage/entries?userId=&limit=&cursor=',
      health: 'GET /health',
      ready: 'GET /health/ready',
      live: 'GET /health/live',
      startup: 'GET /health/startup',
    };
  }
}
