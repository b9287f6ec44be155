import { callRequest, endpoints, freeEndpoint, type CallRequest } from '@app/openai';
import { Body, Controller, Get, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { RecordUsage } from 'nestjs-ledger';
import type { Readable } from 'node:stream';
import { usage } from '../usage.ledger.js';
import type { CallersRequest } from './caller.js';
import { entryOfCall, MeteredCalls } from './metered-calls.js';
import { pathBelow } from './path-below.js';

/** Implements OpenAI's protocol, with one entry of the ledger for each request. */
@Controller('v1')
export class ChatController {
  constructor(private readonly calls: MeteredCalls) {}

  @Post('chat/completions')
  @RecordUsage(entryOfCall, { ledger: usage })
  complete(
    @Body({ schema: callRequest }) request: CallRequest,
    @Req() http: CallersRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    return this.calls.answer(endpoints.chat, request, http, reply);
  }

  @Post('completions')
  @RecordUsage(entryOfCall, { ledger: usage })
  completeText(
    @Body({ schema: callRequest }) request: CallRequest,
    @Req() http: CallersRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    return this.calls.answer(endpoints.completions, request, http, reply);
  }

  @Post('responses')
  @RecordUsage(entryOfCall, { ledger: usage })
  respond(
    @Body({ schema: callRequest }) request: CallRequest,
    @Req() http: CallersRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    return this.calls.answer(endpoints.responses, request, http, reply);
  }

  @Post('embeddings')
  @RecordUsage(entryOfCall, { ledger: usage })
  embed(
    @Body({ schema: callRequest }) request: CallRequest,
    @Req() http: CallersRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    return this.calls.answer(endpoints.embeddings, request, http, reply);
  }

  @Get(['models', 'models/*'])
  @RecordUsage(entryOfCall, { ledger: usage })
  models(
    @Req() http: CallersRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    return this.calls.answer(freeEndpoint('models', pathBelow(http)), undefined, http, reply);
  }
}
