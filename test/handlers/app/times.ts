import { Injectable, type Type } from '@nestjs/common';
import { Cron, Interval, ScheduleModule } from '@nestjs/schedule';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import type { Part } from './part.js';
import { CALLERS, entryOf, nextMemo, work, workAndRecord, type Draft } from './work.js';

const INTERVAL_MS = 50;
const EACH_SECOND = '* * * * * *';
/** Objects with each kind: each begins a call of its own whenever its time has come. */
const OBJECTS = { interval: 12, cron: CALLERS };

@Injectable()
class Often {
  @Interval(INTERVAL_MS)
  @RecordUsage(entryOf)
  async run(@Usage() draft: Draft = {}): Promise<void> {
    await work(nextMemo('interval'), draft);
  }
}

@Injectable()
class PlainOften {
  constructor(private readonly ledger: LedgerService) {}

  @Interval(INTERVAL_MS)
  async run(): Promise<void> {
    await workAndRecord(nextMemo('interval-plain'), this.ledger);
  }
}

@Injectable()
class EachSecond {
  @Cron(EACH_SECOND)
  @RecordUsage(entryOf)
  async run(@Usage() draft: Draft = {}): Promise<void> {
    await work(nextMemo('cron'), draft);
  }
}

@Injectable()
class PlainEachSecond {
  constructor(private readonly ledger: LedgerService) {}

  @Cron(EACH_SECOND)
  async run(): Promise<void> {
    await workAndRecord(nextMemo('cron-plain'), this.ledger);
  }
}

const CLASSES: Record<string, [Type, number]> = {
  interval: [Often, OBJECTS.interval],
  'interval-plain': [PlainOften, OBJECTS.interval],
  cron: [EachSecond, OBJECTS.cron],
  'cron-plain': [PlainEachSecond, OBJECTS.cron],
};

export function times(kinds: readonly string[]): Part {
  const providers = kinds.flatMap((kind) => {
    const [useClass, objects] = CLASSES[kind]!;
    return Array.from({ length: objects }, (_, i) => ({ provide: `${kind} ${i}`, useClass }));
  });
  return { imports: [ScheduleModule.forRoot()], providers };
}
