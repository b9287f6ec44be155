import { Controller, Get, Query, UseFilters } from '@nestjs/common';
import { InjectLedger, LedgerService } from 'nestjs-ledger';
import type { z } from 'zod';
import { usage } from '../usage.ledger.js';
import { ReadErrorFilter } from './read-error.filter.js';
import { entriesQuery, summaryQuery } from './usage-query.schema.js';

/** Reads back what was recorded. */
@Controller('v1/usage')
@UseFilters(ReadErrorFilter)
export class UsageController {
  constructor(@InjectLedger(usage) private readonly ledger: LedgerService<typeof usage>) {}

  @Get('summary')
  summary(
    @Query({ schema: summaryQuery }) query: z.infer<typeof summaryQuery>,
  ): ReturnType<LedgerService['summary']> {
    return this.ledger.summary(query);
  }

  @Get('entries')
  entries(
    @Query({ schema: entriesQuery }) query: z.infer<typeof entriesQuery>,
  ): ReturnType<LedgerService<typeof usage>['listRecent']> {
    return this.ledger.listRecent(query);
  }
}
