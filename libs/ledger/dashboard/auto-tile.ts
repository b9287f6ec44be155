import type { DashboardNow } from '../src/dashboard/dashboard-frame.interface.js';
import { byId, fill } from './elements.js';
import { clockText, durationText, grouped } from './format.js';

/** Fills the tile with the figures of `auto`; it is hidden if no figure is `auto`. */
export function showAuto({ auto }: DashboardNow): void {
  byId('auto-tile').hidden = auto === null;
  if (auto === null) return;
  const { workers, batch, delayMs } = auto;
  fill('autoWorkers', grouped(workers));
  fill('autoUnit', workers === 1 ? 'worker' : 'workers');
  fill('autoMore', `delay ${durationText(delayMs)}, batch ${grouped(batch)}`);
}

/** One line of the details: the reason for the figures; undefined if no figure is `auto`. */
export function autoText({ auto }: DashboardNow): string | undefined {
  return auto === null ? undefined : `${auto.why}, since ${clockText(auto.since)}`;
}

/** One line of the details: the trials; undefined if there were none. */
export function triedText({ auto }: DashboardNow): string | undefined {
  if (auto === null || auto.tried.length === 0) return undefined;
  return auto.tried
    .map(({ workers, ratio, isKept }) => {
      return `${grouped(workers)} workers ${ratio.toFixed(2)} x${isKept ? '' : ', not kept'}`;
    })
    .join('; ');
}
