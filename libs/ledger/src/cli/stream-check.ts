import { grouped } from '../config/setting-values.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerStream, StreamSafety } from '../ports/ledger-stream.interface.js';
import { CommandError } from './command.error.js';
import { fault, ok, warning, type Diagnosis } from './health-checks.js';
import { openStream } from './read-stream.js';

/** Time limit of each question. */
const ANSWER_MS = 5_000;

/**
 * Checks whether the stream is reachable, how safe its messages are, and whether messages wait that
 * no writer reads. Changes nothing.
 *
 * @throws CommandError if the address is invalid
 * @internal
 */
export async function checkStream(url: string, definition: LedgerTable): Promise<Diagnosis[]> {
  let stream: LedgerStream;
  try {
    stream = await openStream(url, definition);
  } catch (error) {
    if (!(error instanceof CommandError) || error.message.includes('(--stream)')) throw error;
    const remedy =
      'the servers and their address; a gateway or a writer makes the stream at its start';
    return [fault('stream', error.message, remedy)];
  }
  try {
    return [...(await safetyOf(stream)), await waitingIn(stream)];
  } catch (error) {
    if (isLedgerError(error, 'SINK_HALT')) {
      return [fault('stream', error.message, 'the address and the permissions of the stream')];
    }
    const why = isLedgerError(error) ? error.message : 'an unexpected failure';
    return [fault('stream', `it does not answer: ${why}`, 'see what its servers say')];
  } finally {
    await stream.close();
  }
}

async function safetyOf(stream: LedgerStream): Promise<Diagnosis[]> {
  const safety = await stream.safety?.(ANSWER_MS);
  return safety === undefined ? [] : judgeSafety(safety);
}

/** @internal */
export function judgeSafety(safety: StreamSafety): Diagnosis[] {
  const { settings } = safety;
  const list = Object.entries(settings ?? {}).map(([name, value]) => `${name}=${value}`);
  return [
    judgeCopies(safety),
    ...judgeServers(safety),
    ...(list.length === 0 ? [] : [ok('stream settings', list.join(', '))]),
  ];
}

function judgeCopies({ copies, syncs, syncSetting }: StreamSafety): Diagnosis {
  const power =
    syncs === undefined
      ? 'whether they are synced before they are acknowledged is not known from here'
      : syncs
        ? 'they are synced before they are acknowledged'
        : 'they are acknowledged before they are synced';
  if (copies < 3) {
    const text = `${copies === 1 ? 'one copy' : `${copies} copies`} of each message: no server may be lost; ${power}`;
    return warning('stream', text, 'three servers and three copies');
  }
  const text = `${copies} copies of each message: one server may be lost; ${power}`;
  if (syncs === true) return ok('stream', text);
  const supplies = 'power supplies that do not fail together';
  return warning(
    'stream',
    `${text}, so a loss of power of all servers may lose the last minutes`,
    syncSetting === undefined ? supplies : `${syncSetting}, or ${supplies}`,
  );
}

/** What the servers do with the copies, and how many of them are there now. */
function judgeServers({ copies, acknowledgedBy, inSync, defect }: StreamSafety): Diagnosis[] {
  const found: Diagnosis[] = [];
  if (defect !== undefined) found.push(fault('stream', defect, 'a later version of the servers'));
  if (inSync !== undefined && inSync < copies) {
    const text = `${inSync} of ${copies} copies are up to date at this moment`;
    found.push(warning('stream', text, 'start the servers that are away, or wait for them'));
  }
  if (copies < 3 || acknowledgedBy === undefined) return found;
  if (acknowledgedBy < 2) {
    const text = 'a message is acknowledged once one server has it, which may not be lost then';
    found.push(fault('stream', text, 'min.insync.replicas=2 on the topic'));
  }
  if (acknowledgedBy === copies) {
    const text = `nothing is published while one of ${copies} servers is away`;
    found.push(warning('stream', text, `min.insync.replicas=${copies - 1} on the topic`));
  }
  return found;
}

async function waitingIn(stream: LedgerStream): Promise<Diagnosis> {
  const { messages, bytes, oldestAgeMs, unread } = await stream.backlog(ANSWER_MS);
  const layouts = unread.map(
    ({ fingerprint, messages: count }) => `${fingerprint}: ${grouped(count)}`,
  );
  if (layouts.length > 0) {
    const text = `messages wait that no writer reads, by layout ${layouts.join(', ')}`;
    return warning(
      'waiting messages',
      text,
      'start writers that have the columns of these messages',
    );
  }
  const age = messages === 0 ? '' : `, the oldest ${Math.round(oldestAgeMs / 1000)} s old`;
  return ok('waiting messages', `${grouped(messages)} (${grouped(bytes)} bytes${age})`);
}
