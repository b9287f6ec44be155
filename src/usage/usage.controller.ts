import { Controller, ForbiddenException, Get, Query, Req, UseFilters } from '@nestjs/common';
import { InjectLedger, LedgerService } from 'nestjs-ledger';
import type { z } from 'zod';
import type { CallersRequest } from '../chat/caller.js';
import { openAiError } from '../openai-error.js';
import { usage } from '../usage.ledger.js';
import { ReadErrorFilter } from './read-error.filter.js';
import { entriesQuery, summaryQuery } from './usage-query.schema.js';

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
