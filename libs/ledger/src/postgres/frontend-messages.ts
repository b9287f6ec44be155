/**
 * Messages to the server, as buffers that begin with their length. Source: PostgreSQL 18, "Message
 * Formats"; "COPY", binary format.
 */

/** Bytes of one CopyData message, and of one write; a 16 MiB batch has 64 of them. */
export const PIECE_BYTES = 262_144;

const COPY_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const COPY_TRAILER = Buffer.from([0xff, 0xff]);
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
const EXECUTE = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);

/** One query of the simple protocol, which may contain several statements. @internal */
export function queryMessage(sql: string): Buffer {
  return message('Q', [Buffer.from(`${sql}\0`)]);
}

/**
 * The rows as CopyData messages of at most 256 KiB, including header and trailer, then CopyDone.
 * The rows are not copied.
 *
 * @returns pieces that must be written completely: each ends at the end of a message
 * @internal
 */
export function* copyMessages(slices: readonly Buffer[]): Generator<Buffer[], void> {
  let parts: Buffer[] = [COPY_HEADER];
  let length = COPY_HEADER.length;
  for (const slice of slices) {
    for (let at = 0; at < slice.length;) {
      const part = slice.subarray(at, at + PIECE_BYTES - length);
      parts.push(part);
      length += part.length;
      at += part.length;
      if (length >= PIECE_BYTES) {
        yield [messageHeader('d', length), ...parts];
        parts = [];
        length = 0;
      }
    }
  }
  yield [messageHeader('d', length + COPY_TRAILER.length), ...parts, COPY_TRAILER, COPY_DONE];
}

/** A parameter in binary format. @internal */
export interface BinaryParameter {
  /** OID of its type; 0 lets the server infer it. */
  readonly oid: number;
  readonly value: Buffer;
}

/** One statement of the extended protocol. @internal */
export interface Command {
  readonly sql: string;
  readonly parameters: readonly BinaryParameter[];
}

/**
 * All commands and one Sync: the server runs them as one transaction. Parameters are not copied.
 *
 * @returns pieces that must all be written, even after an error: the server skips to the Sync
 * @internal
 */
export function* commandMessages(commands: readonly Command[]): Generator<Buffer[], void> {
  let parts: Buffer[] = [];
  let length = 0;
  for (const buffer of buffersOf(commands)) {
    for (let at = 0; at < buffer.length;) {
      const part = buffer.subarray(at, at + PIECE_BYTES - length);
      parts.push(part);
      length += part.length;
      at += part.length;
      if (length >= PIECE_BYTES) {
        yield parts;
        parts = [];
        length = 0;
      }
    }
  }
  yield [...parts, SYNC];
}

function* buffersOf(commands: readonly Command[]): Generator<Buffer, void> {
  for (const { sql, parameters } of commands) {
    yield parseMessage(sql, parameters);
    yield* bindMessage(parameters);
    yield EXECUTE;
  }
}

/** Unnamed, so that it also works behind a pooler. */
function parseMessage(sql: string, parameters: readonly BinaryParameter[]): Buffer {
  const types = Buffer.alloc(2 + 4 * parameters.length);
  types.writeInt16BE(parameters.length, 0);
  parameters.forEach(({ oid }, index) => types.writeUInt32BE(oid, 2 + 4 * index));
  return message('P', [Buffer.from(`\0${sql}\0`), types]);
}

function* bindMessage(parameters: readonly BinaryParameter[]): Generator<Buffer, void> {
  // Portal and statement unnamed; one format code (binary) for all parameters; their number.
  const head = Buffer.from([0, 0, 0, 1, 0, 1, 0, 0]);
  head.writeInt16BE(parameters.length, 6);
  // One format code (text) for all columns of the answer.
  const tail = Buffer.from([0, 1, 0, 0]);
  const bytes = parameters.reduce((sum, { value }) => sum + 4 + value.length, 0);
  yield messageHeader('B', head.length + bytes + tail.length);
  yield head;
  for (const { value } of parameters) {
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(value.length, 0);
    yield length;
    yield value;
  }
  yield tail;
}

function message(type: string, parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([messageHeader(type, length), ...parts]);
}

/** @param length bytes of the body */
function messageHeader(type: string, length: number): Buffer {
  const header = Buffer.allocUnsafe(5);
  header.write(type, 0, 'latin1');
  header.writeInt32BE(length + 4, 1);
  return header;
}
