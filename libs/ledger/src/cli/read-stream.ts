import { RowCodec } from '../codec/row-codec.js';
import { createStreamOfUrl } from '../create-stream-of-url.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerStream, StoredMessage } from '../ports/ledger-stream.interface.js';
import { decodeMessage } from '../stream/message-format.js';
import { layoutOf } from '../stream/row-layout.js';
import { CommandError } from './command.error.js';

/** Opens the stream of an address, which must be there, for a ledger. @throws CommandError @internal */
export async function openStream(url: string, table: LedgerTable): Promise<LedgerStream> {
  const stream = await make(url);
  try {
    const { fingerprint } = layoutOf(table);
    await stream.open({ ledger: table.name, fingerprint });
    return stream;
  } catch (error) {
    await stream.close();
    throw unreadable(error);
  }
}

async function make(url: string): Promise<LedgerStream> {
  try {
    return await createStreamOfUrl(withoutCreate(url));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CommandError(`the stream's address (--stream) ${error.message}`);
  }
}

/** A command looks, and makes nothing. */
function withoutCreate(url: string): string {
  if (/[?&]create=/.test(url)) return url;
  return `${url}${url.includes('?') ? '&' : '?'}create=false`;
}

/** What a message holds: uuids of its entries, or what is wrong with it. @internal */
export type StreamFinding =
  | {
      readonly uuids: readonly string[];
      /** Milliseconds since 1970; undefined: long ago. */
      readonly publishedAt: number | undefined;
    }
  | { readonly fault: string };

/**
 * The messages that wait, oldest first; takes none.
 *
 * @throws CommandError if the stream can't be read
 * @internal
 */
export async function* readStream(stream: LedgerStream): AsyncGenerator<StreamFinding, void> {
  if (stream.browse === undefined) {
    throw new CommandError("this stream can't be read without taking from it");
  }
  try {
    for await (const message of stream.browse()) yield findingOf(message);
  } catch (error) {
    throw unreadable(error);
  }
}

function findingOf({ headers, payload, publishedAt }: StoredMessage): StreamFinding {
  const rows = decodeMessage(headers, payload);
  if ('fault' in rows) return rows;
  const uuids: string[] = [];
  let start = 0;
  for (const end of rows.ends) {
    uuids.push(RowCodec.uuidOf(rows.bytes, start));
    start = end;
  }
  return { uuids, publishedAt };
}

function unreadable(error: unknown): CommandError {
  const why = isLedgerError(error) ? error.message : 'an unexpected failure';
  return new CommandError(`the stream can't be read: ${why}`);
}
