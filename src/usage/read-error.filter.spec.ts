import { Controller, Get, Module, Param, UseFilters } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { LedgerReadError } from 'nestjs-ledger';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ReadErrorFilter } from './read-error.filter.js';

@Controller()
@UseFilters(ReadErrorFilter)
class FailingController {
  @Get(':reason')
  fail(@Param('reason') reason: LedgerReadError['reason']): never {
    throw new LedgerReadError(reason, 'read', 'gave no answer');
  }
}

@Module({ controllers: [FailingController] })
class FailingModule {}

let app: NestFastifyApplication;

beforeAll(async () => {
  const module = await Test.createTestingModule({ imports: [FailingModule] }).compile();
  app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
  app.useLogger(false);
  await app.init();
});
afterAll(() => app.close());

describe('ReadErrorFilter', () => {
  it('answers 503 and when to try again where too many reads are under way', async () => {
    const answer = await app.inject({ url: '/busy' });
    expect(answer).toMatchObject({ statusCode: 503, headers: { 'retry-after': '1' } });
    expect(answer.json()).toMatchObject({ error: { code: 'LEDGER_READ' } });
  });

  it.each([
    ['invalid', 400],
    ['timeout', 503],
    ['unavailable', 501],
  ])('answers %s with %i, and promises no time', async (reason, status) => {
    const answer = await app.inject({ url: `/${reason}` });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['retry-after']).toBeUndefined();
  });
});
