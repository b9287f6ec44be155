import { connect, createServer, type AddressInfo } from 'node:net';

/** ReadyForQuery: type and length; the transaction's state follows. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5]);

/** What a server says that ends a session: severity (twice), SQLSTATE, text. */
const FATAL = message(['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection', '']);

/** Passes on all that client and server say, but ends one session as a server that stops does. */
export interface FatalServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * @param session which connection is ended, from 1: right behind the answer to its log-in, in the
 * same packet
 */
export async function startFatalServer(databaseUrl: string, session: number): Promise<FatalServer> {
  const { hostname, port } = new URL(databaseUrl);
  let sessions = 0;
  const server = createServer((client) => {
    const isDoomed = ++sessions === session;
    const upstream = connect(Number(port || 5432), hostname);
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.pipe(upstream);
    upstream.on('data', (data: Buffer) => {
      const at = isDoomed ? data.indexOf(READY) : -1;
      if (at < 0) return void client.write(data);
      client.end(Buffer.concat([data.subarray(0, at + READY.length + 1), FATAL]));
      upstream.destroy();
    });
    upstream.on('close', () => client.end());
    client.on('close', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function message(fields: readonly string[]): Buffer {
  const body = Buffer.from(fields.map((field) => `${field}\0`).join(''));
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
