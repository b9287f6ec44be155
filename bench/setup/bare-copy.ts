import pg from 'pg';
import { rowColumns } from '../../libs/ledger/src/entry/columns.js';
import {
  COPY_HEADER,
  COPY_TRAILER,
  definitionOf,
  encodeBatches,
  tableOf,
  type EntryKind,
} from './entries.js';

/** The part of the connection that a Submittable of `pg` needs. */
interface Connection {
  query(sql: string): void;
  readonly stream: { write(bytes: Buffer): void };
}

/** One COPY of prepared bytes, and nothing else: no settings, no time limit, no checks. */
class BareCopy {
  constructor(
    private readonly sql: string,
    private readonly bytes: Buffer,
    private readonly done: (error: Error | null) => void,
  ) {}

  submit(connection: Connection): void {
    connection.query(this.sql);
  }

  handleCopyInResponse(connection: Connection): void {
    connection.stream.write(this.bytes);
  }

  handleError(error: Error): void {
    this.done(error);
  }

  handleReadyForQuery(): void {
    this.done(null);
  }

  handleCommandComplete(): void {}
}

export function copySql(kind: EntryKind, source: string): string {
  const columns = rowColumns(definitionOf(kind)).map((name) => `"${name}"`);
  return `COPY ${tableOf(kind)} (${columns.join(', ')}) FROM ${source} (FORMAT binary)`;
}

/** The fastest possible client: one message of prepared bytes a batch, on kept connections. */
export class BareLoop {
  readonly #sql: string;

  private constructor(
    private readonly kind: EntryKind,
    private readonly clients: readonly pg.Client[],
  ) {
    this.#sql = copySql(kind, 'STDIN');
  }

  static async open(url: string, kind: EntryKind, connections: number): Promise<BareLoop> {
    const clients = Array.from({ length: connections }, () => new pg.Client(url));
    await Promise.all(clients.map((client) => client.connect()));
    return new BareLoop(kind, clients);
  }

  /** Encodes outside the measurement. @returns one message with CopyDone a batch */
  prepare(rows: number, batchSize: number): Buffer[] {
    return encodeBatches(this.kind, rows, batchSize).map((batch) => {
      const head = Buffer.alloc(5);
      head.write('d', 0, 'latin1');
      head.writeInt32BE(4 + COPY_HEADER.length + batch.length + COPY_TRAILER.length, 1);
      const done = Buffer.from([0x63, 0, 0, 0, 4]);
      return Buffer.concat([head, COPY_HEADER, batch, COPY_TRAILER, done]);
    });
  }

  async run(messages: readonly Buffer[]): Promise<void> {
    let next = 0;
    await Promise.all(
      this.clients.map(async (client) => {
        while (next < messages.length) await this.#copy(client, messages[next++]!);
      }),
    );
  }

  #copy(client: pg.Client, message: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error: Error | null): void => (error === null ? resolve() : reject(error));
      client.query(new BareCopy(this.#sql, message, done) as unknown as pg.Submittable);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.end()));
  }
}
