import { open, readFile, type FileHandle } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The collector's file, and what it checks. */
export interface CollectorOptions {
  /** NDJSON; made if it is not there. */
  readonly file: string;
  /** Requests without this bearer token get a 401. Default: none is asked for. */
  readonly token?: string;
  /** Longer bodies get a 413. Default: 64 MiB. */
  readonly maxBodyBytes?: number;
  /** The rule that an entry breaks, or undefined. Default: takes any entry. */
  readonly ruleOf?: (entry: Record<string, unknown>) => string | undefined;
}

const MAX_BODY_BYTES = 64 * 1024 * 1024;

/**
 * Stands in for your service: keeps entries in a file, each uuid once. Kill it at any time: it answers
 * only after the file is synced, and an entry that was cut off by the kill is cut from the file.
 */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #file: FileHandle;
  /** Lines by uuid: what `UNIQUE (uuid)` would be in a database. */
  readonly #lines: Map<string, string>;
  readonly #server: Server;
  /** Length of the file without what a failed write left there. */
  #bytes: number;
  /** Batches are written one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: CollectorOptions, file: FileHandle, text: string) {
    this.#options = options;
    this.#file = file;
    this.#bytes = Buffer.byteLength(text);
    this.#lines = new Map(linesOf(text).map((line) => [uuidOf(line), line]));
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async open(options: CollectorOptions): Promise<Collector> {
    const file = await open(options.file, 'a');
    const text = await readFile(options.file, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    await file.truncate(Buffer.byteLength(whole));
    return new Collector(options, file, whole);
  }

  /** Entries that it holds. */
  get size(): number {
    return this.#lines.size;
  }

  /** Each entry once, in the order in which they came. */
  entries(): Record<string, unknown>[] {
    return [...this.#lines.values()].map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** @param port 0 for any that is free @returns the port */
  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#turn;
    await this.#file.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { status, body } = await this.#handle(request);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === undefined ? '' : JSON.stringify(body));
    } catch (error) {
      // A full disk, or a client that is gone: the batch comes again. A line that is no JSON does not
      // become any by that.
      response.writeHead(error instanceof SyntaxError ? 400 : 500).end();
    }
  }

  async #handle(request: IncomingMessage): Promise<{ status: number; body?: object }> {
    const { token } = this.#options;
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      return { status: 401 };
    }
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://collector');
    if (request.method === 'GET' && pathname === '/health') return { status: 204 };
    if (request.method !== 'POST') return { status: 404 };
    const text = await bodyOf(request, this.#options.maxBodyBytes ?? MAX_BODY_BYTES);
    if (text === undefined) return { status: 413 };
    const lines = linesOf(text);
    switch (pathname) {
      case '/entries':
        return this.#inTurn(() => this.#take(lines));
      case '/entries/find':
        return { status: 200, body: { found: this.#find(lines, searchParams.has('same')) } };
      default:
        return { status: 404 };
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** All entries of a batch, or none. */
  async #take(lines: readonly string[]): Promise<{ status: number; body: object }> {
    const fresh = new Map<string, string>();
    const duplicates: number[] = [];
    const conflicts: number[] = [];
    for (const [row, line] of lines.entries()) {
      const uuid = uuidOf(line);
      const known = this.#lines.get(uuid) ?? fresh.get(uuid);
      if (known !== undefined) {
        (known === line ? duplicates : conflicts).push(row);
        continue;
      }
      const rule = this.#options.ruleOf?.(JSON.parse(line) as Record<string, unknown>);
      if (rule !== undefined) return { status: 422, body: { row, rule } };
      fresh.set(uuid, line);
    }
    if (fresh.size > 0) await this.#append([...fresh.values(), ''].join('\n'));
    for (const [uuid, line] of fresh) this.#lines.set(uuid, line);
    return { status: 200, body: { written: fresh.size, duplicates, conflicts } };
  }

  async #append(text: string): Promise<void> {
    try {
      await this.#file.appendFile(text);
      await this.#file.sync();
      this.#bytes += Buffer.byteLength(text);
    } catch (error) {
      await this.#file.truncate(this.#bytes);
      throw error;
    }
  }

  #find(lines: readonly string[], isSame: boolean): number[] {
    return [...lines.keys()].filter((row) => {
      const line = lines[row] ?? '';
      const known = this.#lines.get(uuidOf(line));
      return known !== undefined && (!isSame || known === line);
    });
  }
}

/** Reads a body to its end, so that the client reads the answer. @returns undefined if it is too long */
async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
  }
  return bytes <= maxBytes ? Buffer.concat(chunks).toString('utf8') : undefined;
}

function linesOf(text: string): string[] {
  return text.split('\n').slice(0, -1);
}

function uuidOf(line: string): string {
  return (JSON.parse(line) as { uuid: string }).uuid;
}
