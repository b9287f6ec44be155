import { FOUR_PROCESSES } from '../parts/auto/four-processes.js';
import { median } from '../setup/figures.js';
import { atLeast, atMost, type Bar, type Medians, type Rule } from './bar.js';

/** Source: the design of `auto`. */
const SPEED = 0.9;
const TEAM_SPEED = 0.95;
const MOST_LAG_MS = 150;
const MOST_CPU: Readonly<Record<string, number>> = {
  medium: 1.5,
  high: 1.3,
  'very-high': 1.3,
  ultra: 1.3,
};
const RATES = 'at the top rate of each tier';

const speedRules: Rule = (m) => {
  const groups = new Set(m.all('auto', { metric: 'rows' }).map(({ group }) => group));
  return [...groups].map((group) => {
    const rows = m.all('auto', { group, metric: 'rows' });
    const own = rows.find(({ contender }) => contender === 'auto');
    const best = rows
      .filter(({ contender }) => contender !== 'auto')
      .map(({ contender, values }) => ({ contender, rate: median(values) }))
      .sort((a, b) => b.rate - a.rate)[0];
    if (own === undefined || best === undefined) return undefined;
    const bound = group === FOUR_PROCESSES ? TEAM_SPEED : SPEED;
    return atLeast(`auto ${group} against ${best.contender}`, bound, median(own.values), best.rate);
  });
};

const rateRules: Rule = (m) => {
  const tiers = m.all('auto-rates', { group: RATES, contender: 'profile', metric: 'lag p99' });
  return tiers.flatMap(({ setting }) => tierBars(m, String(setting)));
};

function tierBars(m: Medians, setting: string): (Bar | undefined)[] {
  const get = (contender: string, metric: string): number =>
    m.get('auto-rates', { group: RATES, setting, contender, metric }) ?? Number.NaN;
  const most = Math.min(MOST_LAG_MS, get('profile', 'lag p99'));
  const cpu = MOST_CPU[setting];
  const ratio = get('auto', 'CPU') / get('profile', 'CPU');
  return [
    atMost(`auto, lag p99 at the rate of ${setting}`, [most, 'ms'], get('auto', 'lag p99')),
    cpu === undefined
      ? undefined
      : atMost(`auto, CPU an entry at the rate of ${setting}`, [cpu, 'x'], ratio),
  ];
}

export const autoRules: readonly Rule[] = [speedRules, rateRules];
