import type { AutoStats } from '../ports/ledger-stats.interface.js';
import { grouped } from '../config/setting-values.js';

/** Indentation of continuation lines of `advise`. @internal */
export const INDENT = ' '.repeat(10);

/**
 * The figures that a ledger tuned itself, and its trials; none if all figures were given. @internal
 */
export function autoLines(auto: AutoStats | null): string[] {
  if (auto === null) return [];
  const { batch, delayMs, workers, why, since, tried } = auto;
  const counted = workers === 1 ? '1 worker' : `${workers} workers`;
  const figures = `batch ${grouped(batch)}, delay ${grouped(delayMs)} ms, ${counted}`;
  const trials = tried.map(({ workers: most, ratio, isKept, at }) => {
    const verdict = isKept ? 'kept' : 'not kept';
    return `${INDENT}tried ${most} workers: ${ratio.toFixed(2)} x, ${verdict} (${timeText(at)})`;
  });
  return [`auto    ${figures}, since ${timeText(since)}`, `${INDENT}-> ${why}`, ...trials];
}

function timeText(at: number): string {
  return new Date(at).toISOString();
}
