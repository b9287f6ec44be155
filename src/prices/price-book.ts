import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { unwatchFile, watchFile } from 'node:fs';
import { builtInPrices } from './built-in-prices.js';
import { readPriceFile } from './price-file.js';
import type { PricedTokens, PriceList } from './price-list.js';

/** Milliseconds between checks of the file: a mounted ConfigMap changes without a signal. */
const LOOK_MS = 2_000;

/**
 * The cost of a call, and the price list's version. Both null if none of its models has a price.
 */
export interface CallCost {
  readonly costNanos: bigint | null;
  readonly priceVersion: string | null;
}

/**
 * The current prices: the built-in ones, or those of a file, which is read again at SIGHUP and when
 * it changes. An invalid file changes nothing, and is logged.
 */
@Injectable()
export class PriceBook implements OnApplicationBootstrap, OnApplicationShutdown {
  /** Answered calls of models without a price. */
  unpricedCalls = 0;
  /** Refused reloads. */
  failedReloads = 0;

  private readonly logger = new Logger('gateway');
  private list: PriceList;
  private readonly reload = (): void => this.read();

  /** @throws Error if the file cannot be read */
  constructor(private readonly path: string | undefined) {
    this.list = path === undefined ? builtInPrices : readPriceFile(path);
  }

  get version(): string {
    return this.list.version;
  }

  onApplicationBootstrap(): void {
    if (this.path === undefined) return;
    process.on('SIGHUP', this.reload);
    // It may have changed between the first read at boot and this one.
    watchFile(this.path, { interval: LOOK_MS, persistent: false }, this.reload);
    this.read();
  }

  onApplicationShutdown(): void {
    if (this.path === undefined) return;
    process.off('SIGHUP', this.reload);
    unwatchFile(this.path, this.reload);
  }

  /** @param models names of the model, the most specific first */
  costOf(models: readonly (string | null | undefined)[], tokens: PricedTokens, at: Date): CallCost {
    for (const model of models) {
      const costNanos = model ? this.list.costNanos(model, tokens, at) : null;
      if (costNanos !== null) return { costNanos, priceVersion: this.list.version };
    }
    return { costNanos: null, priceVersion: null };
  }

  private read(): void {
    try {
      const list = readPriceFile(this.path!);
      if (list.equals(this.list)) return;
      if (list.version === this.list.version) {
        throw new Error(`other prices need another version than ${list.version}`);
      }
      this.list = list;
      this.logger.log(`prices of version ${list.version} hold from now on`);
    } catch (error) {
      this.failedReloads += 1;
      const reason = error instanceof Error ? error.message : String(error);
      this.logger.error(
        `GATEWAY_PRICES was not reloaded, version ${this.list.version} stays: ${reason}`,
      );
    }
  }
}
