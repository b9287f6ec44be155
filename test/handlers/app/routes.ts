import { Body, Controller, Post } from '@nestjs/common';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import type { Part } from './part.js';
import { entryOf, work, workAndRecord, type Draft } from './work.js';

@Controller()
class Routes {
  constructor(private readonly ledger: LedgerService) {}

  @Post('metered')
  @RecordUsage(entryOf)
  metered(@Body('memo') memo: string, @Usage() draft: Draft): Promise<string> {
    return work(memo, draft);
  }

  @Post('plain')
  plain(@Body('memo') memo: string): Promise<string> {
    return workAndRecord(memo, this.ledger);
  }
}

export const routes = (): Part => ({ controllers: [Routes] });
