import type { DashboardHello, DashboardNow } from '../src/dashboard/dashboard-frame.interface.js';
import { autoText, triedText } from './auto-tile.js';
import { byId, make, setText } from './elements.js';
import { bytesText, clockText, compact, durationText, grouped, sentence } from './format.js';
import { journalText, notDurableText, recoveredText } from './journal-tile.js';
import { answersText, messagesText, waitingText } from './stream-facts.js';

type Settings = DashboardHello['settings'];

/** Fills the table of settings in two halves, side by side if there is room. */
export function showSettings(settings: Settings): void {
  const rows = Object.entries(settings).map(([name, setting]) => settingRow(name, setting));
  const middle = Math.ceil(rows.length / 2);
  const halves = [rows.slice(0, middle), rows.slice(middle)];
  byId('settings').replaceChildren(...halves.map((half) => settingsTable(half)));
}

function settingsTable(rows: readonly HTMLElement[]): HTMLElement {
  const heads = ['Setting', 'Value', 'From'].map((text) => {
    const head = make('th', { text });
    head.scope = 'col';
    return head;
  });
  const head = make('thead', {}, make('tr', {}, ...heads));
  return make('table', {}, head, make('tbody', {}, ...rows));
}

function settingRow(name: string, { value, source, profile }: Settings[string]): HTMLElement {
  const head = make('th', { text: name });
  head.scope = 'row';
  const origin = profile === undefined ? source : `profile ${profile}, ${source}`;
  const badge = make('span', { class: 'source', text: origin });
  badge.dataset['given'] = String(source !== 'default');
  const text = settingText(name, value);
  return make('tr', {}, head, make('td', { text }), make('td', {}, badge));
}

/** The unit is the last word of a setting's name. */
function settingText(name: string, value: Settings[string]['value']): string {
  if (typeof value !== 'number') return String(value);
  if (name.endsWith('Bytes')) return bytesText(value);
  if (name.endsWith('Ms')) return `${grouped(value)} ms`;
  return value < 1 ? String(value) : grouped(value);
}

let advised = '';

/** Fills the list of findings if they changed. */
export function showAdvice(advice: DashboardNow['advice']): void {
  const key = JSON.stringify(advice);
  if (key === advised) return;
  advised = key;
  const items = advice.map(({ constraint, severity, summary, remedy }) => {
    const item = make('li', {}, make('span', { class: 'constraint', text: constraint }));
    item.dataset['severity'] = severity;
    item.append(make('span', { text: sentence(summary) }));
    item.append(make('span', { class: 'remedy', text: sentence(remedy) }));
    return item;
  });
  const none = make('li', { class: 'none', text: 'Nothing to change: all is well.' });
  byId('advice').replaceChildren(...(items.length > 0 ? items : [none]));
}

/** The facts below the advice, in order; undefined ones are hidden. */
const FACTS: readonly (readonly [string, (now: DashboardNow) => string | undefined])[] = [
  ['Database', answersText],
  ['Last flush', lastFlushText],
  ['Batches in the last 10 s', recentText],
  ['Held in memory', ({ bytes }) => bytesText(bytes)],
  ['Refused as invalid', ({ invalid }) => grouped(invalid)],
  ['Conflicts', ({ conflicts }) => grouped(conflicts)],
  ['Uuids taken by others', ({ renewedUuids }) => grouped(renewedUuids)],
  ['Written, not stored', ({ notStored }) => grouped(notStored)],
  ['Memos cut, attributes left out', cutText],
  ['Errors in callbacks and mappers', errorsText],
  ['Waiting in the stream', waitingText],
  ['Messages of this process', messagesText],
  ['Journal', journalText],
  ['Recovered from earlier runs', recoveredText],
  ['Answered before durable', notDurableText],
  ['Auto', autoText],
  ['Workers tried', triedText],
];

function lastFlushText({ lastFlush }: DashboardNow): string {
  if (lastFlush === null) return 'none yet';
  const { entries, ms, entriesPerSecond, at } = lastFlush;
  return (
    `${grouped(entries)} in ${durationText(ms)} ` +
    `(${compact(entriesPerSecond)}/s) at ${clockText(at)}`
  );
}

function recentText({ recent }: DashboardNow): string {
  const due = Object.entries(recent.due).filter(([, count]) => count > 0);
  const why = due.map(([name, count]) => `${grouped(count)} ${name}`).join(', ');
  return why === '' ? 'none' : why;
}

function cutText({ memoCut, attributesDropped }: DashboardNow): string {
  return `${grouped(memoCut)}, ${grouped(attributesDropped)}`;
}

function errorsText({ callbackErrors, mapperErrors }: DashboardNow): string {
  return `${grouped(callbackErrors)}, ${grouped(mapperErrors)}`;
}

/** Builds the list of facts. @returns a function that fills it */
export function showFacts(): (now: DashboardNow) => void {
  const pairs = FACTS.map(([label, read]) => {
    const name = make('dt', { text: label });
    return { name, value: make('dd', { text: '–' }), read };
  });
  byId('facts').append(...pairs.flatMap(({ name, value }) => [name, value]));
  return (now) => {
    for (const { name, value, read } of pairs) {
      const text = read(now);
      name.hidden = value.hidden = text === undefined;
      setText(value, text ?? '');
    }
  };
}
