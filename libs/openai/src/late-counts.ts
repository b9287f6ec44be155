import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { setImmediate as turn } from 'node:timers/promises';
import type { CallMeter, CallUsage } from './call-meter.js';

/** Calls that were over before their tokens were counted; a stop waits until they are. */
@Injectable()
export class LateCounts implements OnApplicationShutdown {
  private readonly logger = new Logger('gateway');
  private readonly counting = new Set<Promise<void>>();

  /** Counts what a call used, then tells. */
  add(meter: CallMeter, tell: (used: CallUsage) => void): void {
    const counted = meter
      .settle()
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
