import { openAiError, whenOver } from '@app/openai';
import {
  Controller,
  ForbiddenException,
  Get,
  HttpException,
  HttpStatus,
  Query,
  Req,
  Res,
  StreamableFile,
  UseFilters,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { InjectLedger, LedgerService } from 'nestjs-ledger';
import { Readable } from 'node:stream';
import type { z } from 'zod';
import type { CallersRequest } from '../chat/caller.js';
import { usage } from '../usage.ledger.js';
import { csvLines } from './csv-lines.js';
import { ReadErrorFilter } from './read-error.filter.js';
import { entriesQuery, reportQuery, summaryQuery } from './usage-query.schema.js';

const ONE_AT_A_TIME = openAiError('Another report is being read.', { code: 'report_running' });

/** Reads back what was recorded; to a caller with a key only what is its own. */
@Controller('v1/usage')
@UseFilters(ReadErrorFilter)
export class UsageController {
  private isReporting = false;

  constructor(@InjectLedger(usage) private readonly ledger: LedgerService<typeof usage>) {}

  @Get('summary')
  summary(
    @Query({ schema: summaryQuery }) query: z.infer<typeof summaryQuery>,
    @Req() { caller }: CallersRequest,
  ): ReturnType<LedgerService['summary']> {
    return this.ledger.summary({ ...query, userId: readable(query.userId, caller) });
  }

  /**
   * Streams sums as CSV. A fault in the first rows is an error's answer; a later one cuts it off. A
   * report holds a connection for as long as its reader takes: the ledger's pool has one to spare.
   */
  @Get('report.csv')
  async report(
    @Query({ schema: reportQuery }) query: z.infer<typeof reportQuery>,
    @Req() { caller }: CallersRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const own = { ...query, userId: readable(query.userId, caller) };
    if (this.isReporting) throw new HttpException(ONE_AT_A_TIME, HttpStatus.TOO_MANY_REQUESTS);
    const rows = this.ledger.report(own as Parameters<typeof this.ledger.report>[0]);
    const lines = csvLines(rows);
    this.isReporting = true;
    whenOver(reply, () => {
      // A stream that nobody began to read would keep the connection.
      void lines.return().finally(() => (this.isReporting = false));
    });
    const { value: first } = await lines.next();
    const bytes = Readable.from(continued(first ?? '', lines), { objectMode: false });
    return new StreamableFile(bytes, { type: 'text/csv; charset=utf-8' });
  }

  @Get('entries')
  entries(
    @Query({ schema: entriesQuery }) query: z.infer<typeof entriesQuery>,
    @Req() { caller }: CallersRequest,
  ): ReturnType<LedgerService<typeof usage>['listRecent']> {
    // Where there are no keys, the ledger itself refuses to list for nobody, and names the field.
    const userId = readable(query.userId, caller) as string;
    return this.ledger.listRecent({ ...query, userId });
  }
}

/** Whose usage is read: that of the key's user if there is a key. @throws ForbiddenException else */
function readable(asked: string | undefined, caller: CallersRequest['caller']): string | undefined {
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
