import { lstat } from 'node:fs/promises';
import { basename } from 'node:path';
import { rowColumnsOf } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { fitRows, type GivenFields } from '../journal/fit-row.js';
import { openSegment, type OpenSegment, type SegmentPart } from '../segments/read-segment.js';
import { rowsOf } from '../segments/row-frame.js';
import { isSegmentBeingWritten } from '../segments/segment-author.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import { SegmentRows } from '../segments/segment-rows.js';
import { isUnfinished } from '../files/file-names.js';
import { isJournalFile } from '../journal/folder-names.js';
import { escapeInLine } from './escape-controls.js';

/** An entry of a segment. @internal */
export interface SegmentEntry {
  readonly uuid: string;
  readonly entry: Record<string, unknown>;
  /** Of its row. */
  readonly bytes: number;
}

/**
 * What a segment holds, in its order; `why` says where something is wrong. `half`: the last frame of
 * an unfinished file, which its writer did not come to the end of. `refused`: the whole file is left
 * alone.
 *
 * @internal
 */
export type ReadSegment =
  | { readonly kind: 'entry'; readonly entry: SegmentEntry }
  | { readonly kind: 'half' | 'unreadable' | 'refused'; readonly why: string };

/**
 * Reads the entries of a segment for a ledger. Whatever its bytes are, nothing is thrown for their
 * sake.
 *
 * @param given for columns that the segment does not have: entries are as a ledger that replays it would
 *   write them; default: as they were recorded
 * @throws the file system's error
 * @internal
 */
export async function* readSegmentFile(
  path: string,
  definition: LedgerTable,
  given?: GivenFields,
): AsyncGenerator<ReadSegment, void> {
  const segment = await openSegment(path);
  try {
    const { description } = segment;
    if (typeof description === 'string') {
      yield { kind: 'refused', why: `can't be read: ${description}` };
    } else if (!isOf(description, definition)) {
      yield { kind: 'refused', why: describeOther(description, definition) };
    } else {
      yield* entriesOf(path, segment, readingOf(description, definition, given));
    }
  } finally {
    await segment.close();
  }
}

function isOf({ ledger, target }: SegmentDescription, { name, table }: LedgerTable): boolean {
  return ledger === name && target.table === table;
}

function describeOther(
  { ledger, target }: SegmentDescription,
  { name, table }: LedgerTable,
): string {
  return (
    `is of ledger ${escapeInLine(ledger)}, table ${escapeInLine(target.table)}, and not of ` +
    `ledger ${name}, table ${table}: give its definition with -d <module>`
  );
}

interface RowReading {
  /** Of a row. */
  readonly columns: number;
  /** @returns undefined for a row that no ledger wrote */
  readonly readEntry: (row: Buffer) => SegmentEntry | undefined;
}

/**
 * A row that fits no row of the definition is read by the segment's own columns: what becomes of it is the
 * replay's to say.
 */
function readingOf(
  { columns }: SegmentDescription,
  definition: LedgerTable,
  given?: GivenFields,
): RowReading {
  const rows = new SegmentRows(columns);
  const fit = given && fitRows(columns, definition, given);
  const fittedRows = new SegmentRows(rowColumnsOf(definition));
  const readEntry = (row: Buffer): SegmentEntry | undefined => {
    const uuid = rows.uuid(row);
    const recorded = rows.entry(row);
    if (uuid === undefined || recorded === undefined) return undefined;
    const fitted = fit?.(row);
    const entry = fitted === undefined ? recorded : fittedRows.entry(fitted);
    return entry && { uuid, entry, bytes: row.length };
  };
  return { columns: columns.length, readEntry };
}

async function* entriesOf(
  path: string,
  segment: OpenSegment,
  { columns, readEntry }: RowReading,
): AsyncGenerator<ReadSegment, void> {
  for await (const part of segment.parts()) {
    // Written again, a settled row is skipped by its uuid.
    if (part.kind === 'settled') continue;
    if (part.kind !== 'rows') {
      yield problemOf(part, isUnfinished(path) || isJournalFile(basename(path)));
      continue;
    }
    let position = part.position;
    for (const row of rowsOf(part.bytes, columns)) {
      const entry = readEntry(row);
      if (entry !== undefined) {
        yield { kind: 'entry', entry };
      } else {
        const why = `the row at position ${position} is none of its columns, skipped`;
        yield { kind: 'unreadable', why };
      }
      position++;
    }
  }
}

/** A finished file has no half frame: one that is cut off lost a part since. */
function problemOf(
  { kind, at, why }: Extract<SegmentPart, { kind: 'torn' | 'corrupt' }>,
  mayBeHalf: boolean,
): ReadSegment {
  if (kind === 'torn' && mayBeHalf) {
    return { kind: 'half', why: `its last frame, at byte ${at}, is half-written, skipped` };
  }
  return {
    kind: 'unreadable',
    why: `damaged at byte ${at} (${why}): the rest of the file is not read`,
  };
}

/** Whether the segment's writer may be at work still. @throws the file system's error @internal */
export async function isSegmentInUse(path: string): Promise<boolean> {
  if (!isUnfinished(path)) return false;
  const segment = await openSegment(path);
  try {
    const { description } = segment;
    // A header is the first that a writer writes, and what comes without one is damaged.
    if (typeof description === 'string') return false;
    return isSegmentBeingWritten(path, description.author, (await lstat(path)).mtimeMs);
  } finally {
    await segment.close();
  }
}
