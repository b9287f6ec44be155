import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { formatUuid } from '../codec/uuid.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isBeingWritten, isSegment } from '../files/file-names.js';
import type { GivenFields } from '../journal/fit-row.js';
import type { SetAsideLine } from '../files/set-aside-line.js';
import type { CommandOutput } from './command-output.js';
import { escapeInLine } from './escape-controls.js';
import { countLines, readSetAsideFile } from './read-set-aside-file.js';
import type { ReplayReport } from './replay-report.js';
import { isSegmentInUse, readSegmentFile } from './replay-segment.js';
import type { ReplayItem, Replayer } from './replayer.js';
import { fileErrorCode, moveAside } from './set-aside-files.js';

/** Entries of one batch: a few hundred make the round trips cheap and a refusal too. */
const BATCH_ENTRIES = 500;
/** Bytes of their lines or rows, which bound a replay's memory for any content. */
const BATCH_BYTES = 4 * 1_048_576;
/** Lines of one file that are named as unreadable; more are only counted. */
const NAMED_LINES = 10;

/** What a replay of files is made of. */
export interface ReplayFilesParts {
  /** Of the ledger whose table is written to. */
  readonly definition: LedgerTable;
  /** For columns that a segment does not have. */
  readonly given: GivenFields;
  readonly replayer: Replayer;
  readonly report: ReplayReport;
  readonly output: CommandOutput;
  readonly isDryRun: boolean;
}

/**
 * Replays files one after the other. A file whose entries are all in the table is moved aside; one
 * with a refused entry, or whose writer may be at work still, stays whole where it is, and so does
 * one that can't be read or moved. Another replay may be at the same files.
 *
 * @throws what the replayer throws
 * @internal
 */
export async function replayFiles(
  paths: readonly string[],
  parts: ReplayFilesParts,
): Promise<void> {
  for (const path of paths) await replayFile(path, parts);
}

async function replayFile(path: string, parts: ReplayFilesParts): Promise<void> {
  const { output, report, isDryRun } = parts;
  const name = escapeInLine(path);
  const before = report.refused + report.unreadable;
  let isOpen: boolean;
  try {
    // Asked first: a writer that ends meanwhile may have added rows behind those that were read.
    isOpen = isSegment(path) ? await isSegmentInUse(path) : isBeingWritten(path);
    if (!(await replayContent(path, parts))) return;
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    // Another replay is done with it, or its writer, and then it has another name.
    if (code === 'ENOENT') output.warn(`${name} is gone: another process has moved it`);
    else tellFailed(`${name} can't be read: ${code}`, parts);
    return;
  }
  const left = report.refused + report.unreadable - before;
  if (isDryRun) return;
  if (isOpen) output.warn(`${name} stays: its writer may still be running`);
  else if (left > 0) output.warn(`${name} stays: ${left} of its entries are not in the table`);
  else await finish(path, parts);
}

async function finish(path: string, parts: ReplayFilesParts): Promise<void> {
  const name = escapeInLine(path);
  try {
    const target = escapeInLine(await moveAside(path));
    parts.output.line(`${name} is done, moved to ${target}`);
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    if (code === 'ENOENT') parts.output.line(`${name} is done, moved by another process`);
    else tellFailed(`${name} is done, but stays: it can't be moved (${code})`, parts);
  }
}

function tellFailed(what: string, { output, report }: ReplayFilesParts): void {
  report.failedFiles++;
  output.warn(what);
}

/** @returns false if the whole file was skipped, which was reported */
async function replayContent(path: string, parts: ReplayFilesParts): Promise<boolean> {
  const total = isSegment(path) ? 0 : await countLines(path);
  const progress = parts.output.progress(basename(path), total);
  const batches = new Batches(parts, (done) => progress.at(done));
  try {
    return isSegment(path)
      ? await replayRows(path, parts, batches)
      : await replayLines(path, parts, batches);
  } finally {
    progress.end();
  }
}

async function replayLines(
  path: string,
  { report, output }: ReplayFilesParts,
  batches: Batches,
): Promise<boolean> {
  const problems = new Problems(path, output);
  for await (const read of readSetAsideFile(path)) {
    if (read.kind === 'line') {
      const item = itemOf(read.line);
      if (item !== undefined) {
        await batches.add(item, read.bytes);
        continue;
      }
    }
    report[read.kind === 'half' ? 'halfLines' : 'unreadable']++;
    const what = read.kind === 'half' ? 'is half-written' : "can't be read";
    problems.tell(`line ${read.number} ${what}, skipped`);
  }
  await batches.flush();
  problems.end();
  return true;
}

async function replayRows(
  path: string,
  parts: ReplayFilesParts,
  batches: Batches,
): Promise<boolean> {
  const { report, output, definition, given } = parts;
  const problems = new Problems(path, output);
  for await (const read of readSegmentFile(path, definition, given)) {
    if (read.kind === 'refused') {
      tellFailed(`${escapeInLine(path)} ${read.why}`, parts);
      return false;
    }
    if (read.kind === 'entry') {
      const { entry, uuid, bytes } = read.entry;
      await batches.add({ entry, fallbackUuid: uuid, queuedAt: Date.now() }, bytes);
      continue;
    }
    report[read.kind === 'half' ? 'halfLines' : 'unreadable']++;
    problems.tell(read.why);
  }
  await batches.flush();
  problems.end();
  return true;
}

/** Entries of one file, on their way to the table. */
class Batches {
  readonly #parts: ReplayFilesParts;
  readonly #onDone: (entries: number) => void;
  #items: ReplayItem[] = [];
  #bytes = 0;
  #done = 0;

  constructor(parts: ReplayFilesParts, onDone: (entries: number) => void) {
    this.#parts = parts;
    this.#onDone = onDone;
  }

  async add(item: ReplayItem, bytes: number): Promise<void> {
    this.#items.push(item);
    this.#bytes += bytes;
    if (this.#items.length === BATCH_ENTRIES || this.#bytes >= BATCH_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const items = this.#items;
    if (items.length === 0) return;
    this.#items = [];
    this.#bytes = 0;
    const { replayer, report } = this.#parts;
    for (const fate of await replayer.replay(items)) report.add(fate);
    this.#onDone((this.#done += items.length));
  }
}

/** Names what is wrong in one file, the first few of them. */
class Problems {
  readonly #name: string;
  readonly #output: CommandOutput;
  #count = 0;

  constructor(path: string, output: CommandOutput) {
    this.#name = escapeInLine(path);
    this.#output = output;
  }

  tell(what: string): void {
    this.#count++;
    if (this.#count <= NAMED_LINES) this.#output.warn(`${this.#name}: ${what}`);
  }

  end(): void {
    const more = this.#count - NAMED_LINES;
    if (more > 0) this.#output.warn(`${this.#name}: ${more} more like these`);
  }
}

/** @returns undefined for an entry that is nested too deep to be written again */
function itemOf(line: SetAsideLine): ReplayItem | undefined {
  const { entry, queuedAt, reason } = line;
  try {
    const text = JSON.stringify([reason, queuedAt, entry]);
    return { entry, fallbackUuid: uuidOfText(text), queuedAt: Date.parse(queuedAt) };
  } catch {
    return undefined;
  }
}

function uuidOfText(text: string): string {
  const hash = createHash('sha256').update(text).digest();
  // Version 8 (own scheme) and the variant. Source: RFC 9562.
  hash[6] = (hash[6]! & 0x0f) | 0x80;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return formatUuid(hash, 0);
}
