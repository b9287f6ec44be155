import { Duplex, pipeline, type Readable } from 'node:stream';
import * as zlib from 'node:zlib';

/** Of Node 22 and later. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Duplex };
const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;
/** How many of them one after the other; more are an attack. */
const MAX_LAYERS = 3;

/** With a flush after each piece: a stream's events must not wait for the next ones. */
const UNPACKERS = new Map<string, () => Duplex>([
  ['gzip', () => zlib.createGunzip({ flush: Z_SYNC_FLUSH })],
  ['x-gzip', () => zlib.createGunzip({ flush: Z_SYNC_FLUSH })],
  ['deflate', () => Duplex.from(inflated)],
  ['br', () => zlib.createBrotliDecompress({ flush: BROTLI_OPERATION_FLUSH })],
  ['identity', () => Duplex.from((body: AsyncIterable<Uint8Array>) => body)],
]);
if (createZstdDecompress) UNPACKERS.set('zstd', () => createZstdDecompress());

/**
 * Unpacks an answer as it comes: some are packed although nobody asked for that.
 *
 * @param encoding its `content-encoding`; several with commas between, the last one outermost
 * @returns undefined if one of them is not known here
 */
export function unpackAnswer(body: Readable, encoding: string): Readable | undefined {
  const names = encoding.toLowerCase().split(',').reverse();
  const unpackers = names.map((name) => UNPACKERS.get(name.trim()));
  if (names.length > MAX_LAYERS || unpackers.includes(undefined)) return undefined;
  return unpackers.reduce<Readable>((packed, make) => {
    const unpacked = make!();
    // An error on either side ends both, and is what the reader of the last one gets.
    pipeline(packed, unpacked, () => undefined);
    return unpacked;
  }, body);
}

/** Half of the servers leave out the two bytes before the data, as browsers have learnt to. */
async function* inflated(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const iterator = body[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) return;
  const hasHeader = ((first.value[0] ?? 0) & 0x0f) === 8;
  const options = { flush: Z_SYNC_FLUSH };
  const inflate = hasHeader ? zlib.createInflate(options) : zlib.createInflateRaw(options);
  const whole = async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  pipeline(whole, inflate, () => undefined);
  yield* inflate as AsyncIterable<Buffer>;
}
