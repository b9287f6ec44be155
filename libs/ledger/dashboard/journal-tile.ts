import type { DashboardNow } from '../src/dashboard/dashboard-frame.interface.js';
import { byId, fill, setData } from './elements.js';
import { bytesText, durationText, grouped } from './format.js';

type Journal = NonNullable<DashboardNow['journal']>;

/** Fills the tile of the journal; it is hidden without one. */
export function showJournal({ journal }: DashboardNow): void {
  byId('journal-tile').hidden = journal === null;
  if (journal === null) return;
  const [figure = '', unit = ''] = bytesText(journal.bytes).split(' ');
  fill('journalBytes', figure);
  fill('journalUnit', unit);
  fill('journalMore', moreOf(journal));
  setData(byId('journal-tile'), 'level', journal.state === 'degraded' ? 'degraded' : 'up');
}

/** The most important fact: that nothing is on file, or the rows that would be lost now. */
function moreOf({ state, reason, files, unsyncedRows }: Journal): string {
  if (state === 'degraded') return `degraded: ${reason ?? 'unknown'}`;
  const waiting = `${grouped(unsyncedRows)} unsynced`;
  return state === 'asynchronous' ? `slow disk, ${waiting}` : `${filesText(files)}, ${waiting}`;
}

/** One line of the details; undefined without a journal. */
export function journalText({ journal }: DashboardNow): string | undefined {
  if (journal === null) return undefined;
  const { state, files, lastWriteMs } = journal;
  return `${state}, ${filesText(files)}, last write ${durationText(lastWriteMs)}`;
}

/** Rows of earlier runs found by this run; undefined without a journal. */
export function recoveredText({ journal }: DashboardNow): string | undefined {
  if (journal === null) return undefined;
  const damaged = journal.damaged === 0 ? '' : `, ${grouped(journal.damaged)} damaged`;
  return `${grouped(journal.recovered)} entries, ${grouped(journal.torn)} torn files${damaged}`;
}

/** Calls that were answered before their entry was durable; undefined without a journal. */
export function notDurableText({ journal }: DashboardNow): string | undefined {
  return journal === null ? undefined : grouped(journal.notDurable);
}

function filesText(files: number): string {
  return files === 1 ? '1 file' : `${grouped(files)} files`;
}
