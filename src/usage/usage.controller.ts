import { openAiError } from '@app/openai';
import {
  Controller,
  ForbiddenException,
  Get,
  Header,
  Query,
  Req,
  StreamableFile,
  UseFilters,
} from '@nestjs/common';
import { InjectLedger, LedgerService } from 'nestjs-ledger';
import { Readable } from 'node:stream';
import type { z } from 'zod';
import type { CallersRequest } from '../chat/caller.js';
import { usage } from '../usage.ledger.js';
import { csvLines } from './csv-lines.js';
import { ReadErrorFilter } from './read-error.filter.js';
import { entriesQuery, reportQuery, summaryQuery } from './usage-query.schema.js';

/** Reads back what was recorded; to a caller with a key only what is its own. */
@Controller('v1/usage')
@UseFilters(ReadErrorFilter)
export class UsageController {
  constructor(@InjectLedger(usage) private readonly ledger: LedgerService<typeof usage>) {}

  @Get('summary')
  summary(
    @Query({ schema: summaryQuery }) query: z.infer<typeof summaryQuery>,
    @Req() { caller }: CallersRequest,
  ): ReturnType<LedgerService['summary']> {
    return this.ledger.summary({ ...query, userId: readable(query.userId, caller) });
  }

  /** Streams sums as CSV. A fault in the first rows is an error's answer; a later one cuts it off. */
  @Get('report.csv')
  @Header('content-type', 'text/csv; charset=utf-8')
  async report(
    @Query({ schema: reportQuery }) query: z.infer<typeof reportQuery>,
    @Req() { caller }: CallersRequest,
  ): Promise<StreamableFile> {
    const own = { ...query, userId: readable(query.userId, caller) };
    const rows = this.ledger.report(own as Parameters<typeof this.ledger.report>[0]);
    const lines = csvLines(rows);
    const { value: first } = await lines.next();
    return new StreamableFile(Readable.from(continued(first ?? '', lines), { objectMode: false }));
  }

  @Get('entries')
  entries(
    @Query({ schema: entriesQuery }) query: z.infer<typeof entriesQuery>,
    @Req() { caller }: CallersRequest,
  ): ReturnType<LedgerService<typeof usage>['listRecent']> {
    return this.ledger.listRecent({ ...query, userId: readable(query.userId, caller) });
  }
}

/** Whose usage is read: that of the key's user if there is a key. @throws ForbiddenException else */
function readable<T extends string | undefined>(
  asked: T,
  caller: CallersRequest['caller'],
): T | string {
  if (!caller || (asked ?? caller.userId) === caller.userId) return caller?.userId ?? asked;
  throw new ForbiddenException(openAiError('Not your usage.', { param: 'userId' }));
}

async function* continued(
  first: string,
  rest: AsyncIterable<string>,
): AsyncGenerator<string, void, undefined> {
  yield first;
  yield* rest;
}
