import { createServer, request } from 'node:http';
import { connect, type AddressInfo } from 'node:net';

/**
 * A proxy that resolves every host name to one port of this machine, including names that do not
 * exist. It forwards plain requests, and opens tunnels unless `mayTunnel` is false.
 */
export class HttpProxy {
  /** `GET http://host/path` or `CONNECT host:443`, in order. */
  readonly asked: string[] = [];
  /** The first byte that each tunnel took from the client. */
  readonly tunnelled: (number | undefined)[] = [];
  mayTunnel = true;
  /** `user:password` without which it answers 407. */
  credentials = '';

  private readonly server = createServer((incoming, answer) => {
    const url = new URL(incoming.url ?? '');
    this.asked.push(`${incoming.method} ${incoming.url}`);
    const { 'proxy-authorization': given, ...headers } = incoming.headers;
    if (!this.knows(given)) {
      return answer.writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' }).end();
    }
    const path = url.pathname + url.search;
    const options = { host: '127.0.0.1', port: this.port, path, method: incoming.method, headers };
    const outgoing = request(options, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on('error', () => answer.destroy());
    return incoming.pipe(outgoing);
  });

  /** @param port where the one upstream listens */
  constructor(private readonly port: number) {
    this.server.on('connect', (incoming, socket) => {
      this.asked.push(`CONNECT ${incoming.url}`);
      const isKnown = this.knows(incoming.headers['proxy-authorization']);
      if (!isKnown) return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      if (!this.mayTunnel) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      const target = connect(this.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.once('data', (bytes: Buffer) => this.tunnelled.push(bytes[0]));
        target.pipe(socket).pipe(target);
      });
      for (const each of [socket, target]) each.on('error', () => target.destroy());
      return undefined;
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private knows(given: string | undefined): boolean {
    if (this.credentials === '') return true;
    return given === `Basic ${Buffer.from(this.credentials).toString('base64')}`;
  }
}
