import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CommandStatement } from './command-statement.js';
import { CopyStatement } from './copy-statement.js';
import { copyMessages } from './frontend-messages.js';
import type { PgConnection } from './pg-client.js';

/** A socket that accepts data only when the test calls `accept`. */
class StubbornSocket extends Duplex {
  readonly received: Buffer[] = [];
  #waiting: (() => void) | undefined;

  override _read(): void {}

  override _writev(pieces: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.received.push(...pieces.map(({ chunk }) => chunk));
    this.#waiting = done;
  }

  /** Accepts everything so far; true if there was any. */
  accept(): boolean {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
    return waiting !== undefined;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

function connect(): { socket: StubbornSocket; connection: PgConnection } {
  const socket = new StubbornSocket();
  return { socket, connection: Object.assign(new EventEmitter(), { stream: socket }) };
}

const turn = (): Promise<void> => new Promise(setImmediate);

async function acceptAll(socket: StubbornSocket): Promise<void> {
  for (let idle = 0; idle < 3; idle = socket.accept() ? 0 : idle + 1) await turn();
}

const ROWS = Array.from({ length: 4 }, (_, index) => Buffer.alloc(1_000_000, index));

/** Type and body of each message; throws if one is incomplete. */
function messagesOf(bytes: Buffer): [type: string, body: Buffer][] {
  const messages: [string, Buffer][] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    if (end > bytes.length) throw new Error('a message is cut off');
    messages.push([String.fromCharCode(bytes[at]!), bytes.subarray(at + 5, end)]);
    at = end;
  }
  return messages;
}

describe('CopyStatement', () => {
  it('sends the rows directly after the query, without waiting for CopyInResponse', async () => {
    const { socket, connection } = connect();
    const statement = new CopyStatement(['SET LOCAL a = 1', 'COPY t FROM STDIN'], ROWS);
    expect(statement.submit(connection)).toBeNull();
    expect(statement.mayHaveCommitted).toBe(false);
    await acceptAll(socket);
    expect(messagesOf(socket.bytes)[0]).toEqual([
      'Q',
      Buffer.from('SET LOCAL a = 1;\nCOPY t FROM STDIN\0'),
    ]);
    const messages = messagesOf(socket.bytes).slice(1);
    expect(messages.at(-1)![0]).toBe('c');
    const stream = Buffer.concat(messages.map(([, body]) => body));
    expect(stream.subarray(0, 19).toString('latin1')).toMatch(/^PGCOPY\n\xff\r\n\0/);
    expect(stream.subarray(19, -2).equals(Buffer.concat(ROWS))).toBe(true);
    expect(stream.subarray(-2)).toEqual(Buffer.from([0xff, 0xff]));
    for (const [, body] of messages) expect(body.length).toBeLessThanOrEqual(262_146);
    expect(statement.mayHaveCommitted).toBe(true);
  });

  it('writes at most one piece while the socket has not drained', async () => {
    const { socket, connection } = connect();
    const statement = new CopyStatement(['COPY'], ROWS);
    statement.submit(connection);
    for (let i = 0; i < 5; i += 1) await turn();
    expect(socket.bytes.length + socket.writableLength).toBeLessThan(2 * 262_200);
    statement.abandon();
  });

  it('drops the rest between two messages when a row is refused', async () => {
    const { socket, connection } = connect();
    const statement = new CopyStatement(['COPY'], ROWS);
    statement.submit(connection);
    await turn();
    const refusal = new Error('row 1');
    statement.handleError(refusal);
    statement.handleError(new Error('and the connection ends'));
    await expect(statement.results).rejects.toBe(refusal);
    await acceptAll(socket);
    expect(messagesOf(socket.bytes).map(([type]) => type)).toEqual(['Q', 'd']);
    expect(statement.mayHaveCommitted).toBe(false);
    expect(socket.listenerCount('drain')).toBe(0);
  });

  it('never writes to an ended socket, and no handler throws', async () => {
    const { socket, connection } = connect();
    const statement = new CopyStatement(['COPY'], ROWS);
    statement.submit(connection);
    await turn();
    const sent = socket.received.length;
    socket.destroy();
    for (let i = 0; i < 5; i += 1) await turn();
    expect(socket.received).toHaveLength(sent);
    statement.handleError(new Error('Connection terminated unexpectedly'));
    statement.handleCopyInResponse(connection);
    statement.handleCommandComplete({ text: 'COPY 1' });
    statement.handleReadyForQuery();
    await expect(statement.results).rejects.toThrow('terminated');
    expect(new CopyStatement(['COPY'], ROWS).submit(connection)).toBeInstanceOf(Error);
  });

  it('is committed once its last statement was answered, despite later errors', async () => {
    const { connection } = connect();
    const statement = new CopyStatement(['SET LOCAL a = 1', 'COPY'], []);
    statement.submit(connection);
    statement.handleCommandComplete({ text: 'SET' });
    statement.handleCommandComplete({ text: 'COPY 5' });
    statement.handleError(new Error('Connection terminated unexpectedly'));
    await expect(statement.results).resolves.toEqual([
      { tag: 'SET', rows: [] },
      { tag: 'COPY 5', rows: [] },
    ]);
  });

  it('fails by itself when the rows can’t be read', async () => {
    const { socket, connection } = connect();
    const broken = { length: 5, subarray: () => undefined } as unknown as Buffer;
    const statement = new CopyStatement(['COPY'], [broken]);
    statement.submit(connection);
    await acceptAll(socket);
    await expect(statement.results).rejects.toBeInstanceOf(TypeError);
    expect(statement.mayHaveCommitted).toBe(false);
  });
});

describe('CommandStatement', () => {
  const value = Buffer.alloc(700_000, 7);
  const commands = [
    { sql: 'SELECT 1', parameters: [] },
    { sql: 'INSERT', parameters: [{ oid: 2951, value }] },
  ];

  it('sends everything up to the Sync even after an error', async () => {
    const { socket, connection } = connect();
    const statement = new CommandStatement(commands);
    statement.submit(connection);
    await turn();
    statement.handleError(new Error('no such table'));
    await expect(statement.results).rejects.toThrow('no such table');
    await acceptAll(socket);
    const messages = messagesOf(socket.bytes);
    expect(messages.map(([type]) => type).join('')).toBe('PBEPBES');
    expect(messages[4]![1].includes(value)).toBe(true);
  });

  it('is not committed before the server is ready again', async () => {
    const { socket, connection } = connect();
    const statement = new CommandStatement(commands);
    statement.submit(connection);
    expect(statement.mayHaveCommitted).toBe(false);
    await acceptAll(socket);
    expect(statement.mayHaveCommitted).toBe(true);
    statement.handleCommandComplete({ text: 'SELECT 1' });
    statement.handleCommandComplete({ text: 'INSERT 0 1' });
    statement.handleError(new Error('a deferred trigger'));
    await expect(statement.results).rejects.toThrow('a deferred trigger');
  });
});

describe('copyMessages', () => {
  it('makes one piece of many small slices', () => {
    const slices = Array.from({ length: 100 }, (_, index) => Buffer.from([index]));
    const pieces = [...copyMessages(slices)];
    expect(pieces).toHaveLength(1);
    expect(messagesOf(Buffer.concat(pieces[0]!)).map(([type]) => type)).toEqual(['d', 'c']);
  });
});
