import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import type { Part } from './part.js';
import { entryOf, work, workAndRecord, type Draft } from './work.js';

/** What a caller sends: the memo of the entry. */
interface Asked {
  memo: string;
}

@Controller()
class Messages {
  constructor(private readonly ledger: LedgerService) {}

  @MessagePattern('ask')
  @RecordUsage(entryOf)
  ask(@Payload() { memo }: Asked, @Usage() draft: Draft): Promise<string> {
    return work(memo, draft);
  }

  @MessagePattern('ask plainly')
  askPlainly(@Payload() { memo }: Asked): Promise<string> {
    return workAndRecord(memo, this.ledger);
  }

  @EventPattern<string>('tell')
  @RecordUsage(entryOf)
  async tell(@Payload() { memo }: Asked, @Usage() draft: Draft): Promise<void> {
    await work(memo, draft);
  }

  @EventPattern('tell plainly')
  async tellPlainly(@Payload() { memo }: Asked): Promise<void> {
    await workAndRecord(memo, this.ledger);
  }
}

export const messages = (): Part => ({ controllers: [Messages] });
