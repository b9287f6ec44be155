import type { LedgerTable } from '../entry/ledger-definition.js';
import { openSegment, type OpenSegment, type SegmentPart } from '../segments/read-segment.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import { decodeSettled, UNKNOWN_SERVER, type SettledFrame } from '../segments/settled-frame.js';
import { absentColumns, fitRows, type FitRow, type GivenFields } from './fit-row.js';
import type { ReplayedFile } from './replayed-file.js';
import { BlockBuilder, type RecoveredBlock, type RowOrigin } from './recovered-block.js';

/** Maximum memory of a batch's rows: it stays small even for all workers together. */
const MAX_BLOCK_BYTES = 4 * 1_048_576;

/** Parts for the replay of a file. @internal */
export interface FileReplay {
  readonly file: ReplayedFile;
  readonly table: LedgerTable;
  /** Values for columns that the file does not have. */
  readonly given: GivenFields;
  /** All rows of the run before this position are settled. */
  readonly settledUntil: number;
  /** Maximum rows of a batch. */
  readonly batchRows: number;
  /** Converts a time of the wall clock to monotonic milliseconds. */
  readonly monotonicOf: (wallMs: number) => number;
}

/**
 * Reads the unsettled rows of a file, in one block per batch. It may be called again for rows that
 * a writer has added since. Damage is noted in the file, and reading continues after it.
 *
 * @throws the file system's error
 * @internal
 */
export async function* replayFile(replay: FileReplay): AsyncGenerator<RecoveredBlock, void> {
  const { file } = replay;
  const segment = await openSegment(file.path);
  try {
    const { description } = segment;
    if (typeof description === 'string') noteHeader(file, segment, description);
    else yield* blocksOf(replay, segment, description);
  } finally {
    await segment.close();
  }
}

async function* blocksOf(
  { file, table, given, settledUntil, batchRows, monotonicOf }: FileReplay,
  segment: OpenSegment,
  { columns, createdAt }: SegmentDescription,
): AsyncGenerator<RecoveredBlock, void> {
  const fit = fitRows(columns, table, given);
  const queuedAt = monotonicOf(Date.parse(createdAt));
  const origin = { queuedAt, absent: absentColumns(columns, table, given) };
  const builder = new BlockBuilder();
  const from = file.readUntil === undefined ? {} : { from: file.readUntil };
  file.tornAt = undefined;
  for await (const part of segment.parts({ ...from, goesOn: true })) {
    if (part.kind === 'rows' || part.kind === 'settled') noteFrame(file, part);
    else noteFault(file, part);
    if (part.kind !== 'rows') continue;
    for (let first = Math.max(0, settledUntil - part.position); first < part.rows;) {
      const room = batchRows - builder.rows;
      const last = lastWithin(part.ends, first, room, MAX_BLOCK_BYTES - builder.bytes);
      if (last > first) addRows({ builder, file, fit }, part, first, last);
      first = last;
      if (first === part.rows && builder.rows < batchRows) break;
      const block = take(builder, file, origin);
      if (block !== undefined) yield block;
    }
  }
  const block = take(builder, file, origin);
  if (block !== undefined) yield block;
}

type Frame = Extract<SegmentPart, { kind: 'rows' | 'settled' }>;

function noteFrame(file: ReplayedFile, frame: Frame): void {
  file.readUntil = frame.end;
  file.end = Math.max(file.end, frame.position + (frame.kind === 'rows' ? frame.rows : 0));
}

function noteFault(file: ReplayedFile, { kind, at, why }: Exclude<SegmentPart, Frame>): void {
  if (kind === 'torn') file.tornAt = at;
  else file.damage ??= `damaged at byte ${at}: ${why}`;
}

/** A process killed while it creates a file leaves an empty file, or an incomplete header. */
function noteHeader(file: ReplayedFile, segment: OpenSegment, why: string): void {
  if (segment.isCutOff) file.tornAt = 0;
  else file.damage ??= why;
}

/** Index after the last row that fits; at least one row if the builder is empty. */
function lastWithin(ends: Uint32Array, first: number, rows: number, bytes: number): number {
  const start = first === 0 ? 0 : ends[first - 1]!;
  const limit = Math.min(ends.length, first + rows);
  let last = first;
  while (last < limit && ends[last]! - start <= bytes) last++;
  return last === first && bytes === MAX_BLOCK_BYTES ? first + 1 : last;
}

function addRows(
  { builder, file, fit }: { builder: BlockBuilder; file: ReplayedFile; fit: FitRow | undefined },
  { bytes, ends }: Extract<SegmentPart, { kind: 'rows' }>,
  first: number,
  last: number,
): void {
  const start = first === 0 ? 0 : ends[first - 1]!;
  if (fit === undefined) {
    const slice = bytes.subarray(start, ends[last - 1]);
    builder.add(
      slice,
      ends.subarray(first, last).map((end) => end - start),
    );
    return;
  }
  for (let row = first; row < last; row++) {
    const fitted = fit(bytes.subarray(row === 0 ? 0 : ends[row - 1], ends[row]));
    if (fitted === undefined) file.kept++;
    else builder.add(fitted, [fitted.length]);
  }
}

/** From here on the rows count as read and unsettled. */
function take(
  builder: BlockBuilder,
  file: ReplayedFile,
  origin: RowOrigin,
): RecoveredBlock | undefined {
  const block = builder.take(file, origin);
  if (block !== undefined) file.unsettled += block.rows;
  return block;
}

/**
 * The last settled frame of a file: the settled position of the run, and the server.
 *
 * @returns undefined if it has none
 * @throws the file system's error
 * @internal
 */
export async function readLastSettled(path: string): Promise<SettledFrame | undefined> {
  const segment = await openSegment(path);
  let settled: SettledFrame | undefined;
  try {
    for await (const part of segment.parts({ goesOn: true })) {
      if (part.kind !== 'settled') continue;
      const frame = decodeSettled(part.position, part.bytes);
      // A frame of another version has at least a position.
      const found = frame ?? { ...UNKNOWN_SERVER, position: part.position, at: 0 };
      if (settled === undefined || found.position >= settled.position) settled = found;
    }
    return settled;
  } finally {
    await segment.close();
  }
}

/**
 * The start of a file: the position before which all rows are settled, and the position of its
 * first row.
 *
 * @returns 0 for a missing value
 * @throws the file system's error
 * @internal
 */
export async function readStart(path: string): Promise<{ settledUntil: number; firstRow: number }> {
  const segment = await openSegment(path);
  let settledUntil = 0;
  try {
    for await (const part of segment.parts()) {
      if (part.kind === 'rows') return { settledUntil, firstRow: part.position };
      if (part.kind === 'settled') settledUntil = Math.max(settledUntil, part.position);
    }
    return { settledUntil, firstRow: 0 };
  } finally {
    await segment.close();
  }
}
