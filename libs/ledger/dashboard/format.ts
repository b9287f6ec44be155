const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** A figure and its unit, shown in different sizes. */
export interface Measure {
  readonly text: string;
  readonly unit: string;
}

/** `1,234,567` */
export function grouped(value: number): string {
  return whole.format(value);
}

/** `12.3K` from ten thousand on, for places without room for all digits. */
export function compact(value: number): string {
  if (Math.abs(value) >= 10_000) return short.format(value);
  return Math.abs(value) >= 100 ? whole.format(value) : tenths.format(value);
}

/** `0.4 %`, `83 %`; 100 only if exact. */
export function percent(share: number): string {
  const value = share * 100;
  return value >= 10 ? whole.format(Math.floor(value)) : tenths.format(value);
}

/** The largest unit with a figure of at least one. */
export function duration(ms: number): Measure {
  if (ms < 1000) return { text: ms < 10 ? tenths.format(ms) : whole.format(ms), unit: 'ms' };
  const seconds = ms / 1000;
  if (seconds < 100) return { text: tenths.format(seconds), unit: 's' };
  if (seconds < 6000) return { text: whole.format(seconds / 60), unit: 'min' };
  const hours = seconds / 3600;
  return hours < 72
    ? { text: tenths.format(hours), unit: 'h' }
    : { text: whole.format(hours / 24), unit: 'd' };
}

/** `1.2 s` */
export function durationText(ms: number): string {
  const { text, unit } = duration(ms);
  return `${text} ${unit}`;
}

/** `12.3 MiB` */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${index === 0 ? whole.format(value) : tenths.format(value)} ${units[index]}`;
}

/** `14:03:27`, in the viewer's own time. @param at milliseconds since 1970 */
export function clockText(at: number): string {
  const time = new Date(at);
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

/** Reasons and findings are clauses, without a capital and a full stop. */
export function sentence(clause: string): string {
  if (clause === '') return '';
  return `${clause[0]!.toUpperCase()}${clause.slice(1)}${/[.!?]$/.test(clause) ? '' : '.'}`;
}
