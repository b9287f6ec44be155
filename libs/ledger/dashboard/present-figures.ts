import type { DashboardNow, DashboardPoint } from '../src/dashboard/dashboard-frame.interface.js';
import type { SaturationMarks } from './charts.js';
import { showAuto } from './auto-tile.js';
import { byId, fill, setData } from './elements.js';
import { compact, duration, grouped, percent } from './format.js';
import { showJournal } from './journal-tile.js';

/** Fills the tiles with the present figures. */
export function showFigures(
  now: DashboardNow,
  point: DashboardPoint,
  marks: SaturationMarks,
): void {
  fill('inRate', rateText(point.queuedPerSecond));
  fill('outRate', rateText(point.settledPerSecond));
  fill('offered', grouped(now.offered));
  fill('written', grouped(now.written));
  showSaturation(now, marks);
  showLag(now);
  showForecast(now);
  showLosses(now, point);
  showJournal(now);
  showAuto(now);
}

function rateText(perSecond: number | null): string {
  return perSecond === null ? '–' : compact(perSecond);
}

function showSaturation(now: DashboardNow, { degradedAt, downAt }: SaturationMarks): void {
  const { saturation } = now;
  fill('saturation', percent(saturation));
  fill('depth', compact(now.depth));
  fill('capacity', compact(now.capacity));
  const bar = byId('meter').firstElementChild as HTMLElement;
  bar.style.transform = `scaleX(${Math.min(1, saturation)})`;
  const level = saturation >= downAt ? 'down' : saturation >= degradedAt ? 'degraded' : 'up';
  setData(byId('saturation-tile'), 'level', level);
}

function showLag(now: DashboardNow): void {
  const { text, unit } = duration(now.oldestEntryAgeMs);
  fill('lag', text);
  fill('lagUnit', unit);
}

/**
 * A channel that would be full in hours, or that only holds the next batches, counts as steady,
 * because the rates of the last seconds show no more.
 */
const STEADY_MS = 30 * 60_000;

function showForecast(now: DashboardNow): void {
  const { timeToFullMs, drainEtaMs, depth, inFlight, saturation } = now;
  const isFilling = timeToFullMs !== null && timeToFullMs < STEADY_MS && saturation >= 0.01;
  const isDraining = drainEtaMs !== null && saturation >= 0.01;
  setData(byId('forecast-tile'), 'level', isFilling && timeToFullMs < 60_000 ? 'degraded' : 'up');
  if (isFilling) showForecastAs('Time to full', timeToFullMs, 'at the present rate');
  else if (isDraining) showForecastAs('Drained in', drainEtaMs, 'at the present rate');
  else {
    fill('forecastTitle', 'Time to full');
    fill('forecast', '∞');
    fill('forecastUnit', '');
    fill('forecastMore', depth + inFlight === 0 ? 'nothing waits' : 'the depth is steady');
  }
}

function showForecastAs(title: string, ms: number, more: string): void {
  const { text, unit } = duration(ms);
  fill('forecastTitle', title);
  fill('forecast', ms === 0 ? 'full' : text);
  fill('forecastUnit', ms === 0 ? '' : unit);
  fill('forecastMore', ms === 0 ? 'no room is left' : more);
}

function showLosses(now: DashboardNow, point: DashboardPoint): void {
  const { droppedPerSecond } = point;
  const isDropping = droppedPerSecond !== null && droppedPerSecond > 0;
  fill('dropped', compact(now.dropped));
  fill('droppedRate', isDropping ? `${compact(droppedPerSecond)}/s` : '');
  fill('retries', grouped(now.retries));
  const level = isDropping ? 'down' : now.dropped > 0 ? 'degraded' : 'up';
  setData(byId('lost-tile'), 'level', level);
}
