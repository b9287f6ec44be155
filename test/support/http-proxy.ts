import { createServer, request } from 'node:http';
import { connect, type AddressInfo } from 'node:net';

/**
 * A proxy that knows names which nobody else does: whatever is asked for, it goes to one port of this
 * machine. Forwards plain requests, and tunnels unless it is told not to.
 */
export class HttpProxy {
  /** `GET http://host/path` or `CONNECT host:443`, in order. */
  readonly asked: string[] = [];
  mayTunnel = true;

  private readonly server = createServer((incoming, answer) => {
    const url = new URL(incoming.url ?? '');
    this.asked.push(`${incoming.method} ${incoming.url}`);
    const { method, headers } = incoming;
    const path = url.pathname + url.search;
    const options = { host: '127.0.0.1', port: this.port, path, method, headers };
    const outgoing = request(options, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on('error', () => answer.destroy());
    incoming.pipe(outgoing);
  });

  /** @param port where the one upstream listens */
  constructor(private readonly port: number) {
    this.server.on('connect', (incoming, socket) => {
      this.asked.push(`CONNECT ${incoming.url}`);
      if (!this.mayTunnel) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      const target = connect(this.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
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
}
