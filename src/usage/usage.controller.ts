import { openAiError, whenOver } from '@app/openai';
import {
  Controller,
  ForbiddenException,
  Get,
  Query,
  Req,
  Res,
  StreamableFile,
  UseFilters,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { InjectLedger, LedgerService } from 'nestjs-ledger';
import type { z } from 'zod';
import type { CallersRequest } from '../chat/caller.js';
import { usage } from '../usage.ledger.js';
import { csvLines } from './csv-lines.js';
import { ReportFiles } from './report-files.js';
import { ReadErrorFilter } from './read-error.filter.js';
import { entriesQuery, reportQuery, summaryQuery } from './usage-query.schema.js';

/** Reads recorded usage; a caller with a key only reads its own. */
@Controller('v1/usage')
@UseFilters(ReadErrorFilter)
export class UsageController {
  constructor(
    @InjectLedger(usage) private readonly ledger: LedgerService<typeof usage>,
    private readonly reports: ReportFiles,
  ) {}

  @Get('summary')
  summary(
    @Query({ schema: summaryQuery }) query: z.infer<typeof summaryQuery>,
    @Req() { caller }: CallersRequest,
  ): ReturnType<LedgerService['summary']> {
    return this.ledger.summary({ ...query, userId: readable(query.userId, caller) });
  }

  /**
   * Sums as CSV. The database is first read into a file, so that a fault is answered with an error,
   * and the client reads the file at its own pace.
   */
  @Get('report.csv')
  async report(
    @Query({ schema: reportQuery }) query: z.infer<typeof reportQuery>,
    @Req() request: CallersRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const { caller } = request;
    const own = { ...query, userId: readable(query.userId, caller) };
    const rows = this.ledger.report(own as Parameters<typeof this.ledger.report>[0]);
    const report = this.reports.start(caller?.userId ?? request.ip, csvLines(rows));
    whenOver(reply, () => void report.done());
    const file = await report.ready;
    const bytes = file.createReadStream({ start: 0, autoClose: false });
    return new StreamableFile(bytes, { type: 'text/csv; charset=utf-8' });
  }

  @Get('entries')
  entries(
    @Query({ schema: entriesQuery }) query: z.infer<typeof entriesQuery>,
    @Req() { caller }: CallersRequest,
  ): ReturnType<LedgerService<typeof usage>['listRecent']> {
    // Without keys, the ledger itself refuses a list without a user, and names the field.
    const userId = readable(query.userId, caller) as string;
    return this.ledger.listRecent({ ...query, userId });
  }
}

/**
 * The user whose usage is read: the key's user if there is a key. @throws ForbiddenException for
 * another user
 */
function readable(asked: string | undefined, caller: CallersRequest['caller']): string | undefined {
  if (!caller || (asked ?? caller.userId) === caller.userId) return caller?.userId ?? asked;
  throw new ForbiddenException(openAiError('Not your usage.', { param: 'userId' }));
}
