import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { setImmediate as turn } from 'node:timers/promises';
import type { CallMeter, CallUsage } from './call-meter.js';
import { Tokenizer } from './tokenizer.js';

/** Calls that were over before their tokens were known; a stop waits until they are. */
@Injectable()
export class LateCounts implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('gateway');
  private readonly counting = new Set<Promise<void>>();

  /** Before anything is served: to load the tables holds the event loop for 0.1 to 0.3 s. */
  async onApplicationBootstrap(): Promise<void> {
    // If that fails, the first call to be counted tells.
    await Tokenizer.loadAll().catch(() => undefined);
  }

  /** Waits until a call is settled, then tells what it used. */
  add(meter: CallMeter, tell: (used: CallUsage) => void): void {
    const counted = meter.settled
      .then(tell)
      .catch((error: unknown) => this.logger.error('a call is not booked', error))
      .finally(() => this.counting.delete(counted));
    this.counting.add(counted);
  }

  async onApplicationShutdown(): Promise<void> {
    // A server is closed two turns before its last connections tell those who wait for them.
    await turn();
    await turn();
    await Promise.all(this.counting);
  }
}
