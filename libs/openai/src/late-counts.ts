import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { setImmediate as turn } from 'node:timers/promises';
import type { CallMeter, CallUsage } from './call-meter.js';
import { Tokenizer } from './tokenizer.js';

/** Calls that ended before their tokens were known; a stop waits for them. */
@Injectable()
export class LateCounts implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('gateway');
  private readonly counting = new Set<Promise<void>>();

  /**
   * Before anything is served, because loading the tables blocks the event loop for 0.1 to 0.3 s.
   */
  async onApplicationBootstrap(): Promise<void> {
    // If that fails, the first call to be counted reports it.
    await Tokenizer.loadAll().catch(() => undefined);
  }

  /** Waits until a call is settled, then reports its usage. */
  add(meter: CallMeter, tell: (used: CallUsage) => void): void {
    const counted = meter.settled
      .then(tell)
      .catch((error: unknown) => this.logger.error('a call is not booked', error))
      .finally(() => this.counting.delete(counted));
    this.counting.add(counted);
  }

  async onApplicationShutdown(): Promise<void> {
    // A server is closed two turns before its last connections notify their listeners.
    await turn();
    await turn();
    await Promise.all(this.counting);
  }
}
