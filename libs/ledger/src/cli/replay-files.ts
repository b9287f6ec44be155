import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { formatUuid } from '../codec/uuid.js';
import type { SetAsideLine } from '../files/set-aside-line.js';
import type { CommandOutput } from './command-output.js';
import { countLines, readSetAsideFile } from './read-set-aside-file.js';
import type { ReplayReport } from './replay-report.js';
import type { ReplayItem, Replayer } from './replayer.js';
import { fileErrorCode, isBeingWritten, moveAside } from './set-aside-files.js';

/** Entries of one batch: a few hundred make the round trips cheap and a refusal too. */
const BATCH_ENTRIES = 500;

/** What a replay of files is made of. */
export interface ReplayFilesParts {
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
  const before = report.refused + report.unreadable;
  // Asked first: a writer that ends meanwhile may have added lines behind those that were read.
  const isOpen = isBeingWritten(path);
  try {
    await replayLines(path, parts);
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    // Another replay is done with it, or its writer, and then it has another name.
    if (code === 'ENOENT') output.warn(`${path} is gone: another process has moved it`);
    else tellFailed(`${path} can't be read: ${code}`, parts);
    return;
  }
  const left = report.refused + report.unreadable - before;
  if (isDryRun) return;
  if (isOpen) output.warn(`${path} stays: its writer may still be at work`);
  else if (left > 0) output.warn(`${path} stays: ${left} of its lines are not in the table`);
  else await finish(path, parts);
}

async function finish(path: string, parts: ReplayFilesParts): Promise<void> {
  try {
    parts.output.line(`${path} is done, moved to ${await moveAside(path)}`);
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    if (code === 'ENOENT') parts.output.line(`${path} is done, moved by another process`);
    else tellFailed(`${path} is done, but stays: it can't be moved (${code})`, parts);
  }
}

function tellFailed(what: string, { output, report }: ReplayFilesParts): void {
  report.failedFiles++;
  output.warn(what);
}

async function replayLines(path: string, parts: ReplayFilesParts): Promise<void> {
  const { output } = parts;
  const progress = output.progress(basename(path), await countLines(path));
  try {
    await replayEach(path, parts, (done) => progress.at(done));
  } finally {
    progress.end();
  }
}

async function replayEach(
  path: string,
  { replayer, report, output }: ReplayFilesParts,
  onDone: (entries: number) => void,
): Promise<void> {
  let items: ReplayItem[] = [];
  let done = 0;
  const flush = async (): Promise<void> => {
    if (items.length === 0) return;
    for (const fate of await replayer.replay(items)) report.add(fate);
    onDone((done += items.length));
    items = [];
  };
  for await (const read of readSetAsideFile(path)) {
    if (read.kind === 'line') {
      items.push(itemOf(read.line));
      if (items.length === BATCH_ENTRIES) await flush();
      continue;
    }
    report[read.kind === 'half' ? 'halfLines' : 'unreadable']++;
    const what = read.kind === 'half' ? 'is half-written' : "can't be read";
    output.warn(`${path}: line ${read.number} ${what}, skipped`);
  }
  await flush();
}

function itemOf(line: SetAsideLine): ReplayItem {
  const { entry, queuedAt, reason } = line;
  const hash = createHash('sha256')
    .update(JSON.stringify([reason, queuedAt, entry]))
    .digest();
  // Version 8 (own scheme) and the variant. Source: RFC 9562.
  hash[6] = (hash[6]! & 0x0f) | 0x80;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return { entry, fallbackUuid: formatUuid(hash, 0), queuedAt: Date.parse(queuedAt) };
}
