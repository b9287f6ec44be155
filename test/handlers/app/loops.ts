import { type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { LedgerService } from 'nestjs-ledger';
import type { Part } from './part.js';
import { nextMemo, workAndRecord } from './work.js';

const INTERVAL_MS = 50;
const AT_ONCE = 12;

/** A source of work that Nest knows nothing of. */
class Loop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly kind: string,
    private readonly ledger: LedgerService,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      for (let i = 0; i < AT_ONCE; i++) this.#begin();
    }, INTERVAL_MS);
  }

  #begin(): void {
    const working = workAndRecord(nextMemo(this.kind), this.ledger);
    if (this.kind === 'tracked') void this.ledger.track(working);
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#timer);
  }
}

export const loops = (kinds: readonly string[]): Part => ({
  providers: kinds.map((kind) => ({
    provide: kind,
    inject: [LedgerService],
    useFactory: (ledger: LedgerService) => new Loop(kind, ledger),
  })),
});
