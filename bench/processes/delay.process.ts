import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { inputOf, nextMessage, tell } from '../setup/child.js';

export interface DelayInput {
  readonly port: number;
  /** Milliseconds that every byte takes in one direction: half a round trip. */
  readonly oneWayMs: number;
}

const { port, oneWayMs } = inputOf<DelayInput>();

/** Forwards bytes after the delay, in order, for any number under way. */
function pass(from: Socket, to: Socket): void {
  from.on('data', (bytes) => {
    // Without distance there must be no cost of a timer.
    if (oneWayMs === 0) to.write(bytes);
    else setTimeout(() => to.write(bytes), oneWayMs);
  });
  from.on('end', () => setTimeout(() => to.end(), oneWayMs));
  from.on('error', () => to.destroy());
}

const server = createServer((client) => {
  const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
  client.setNoDelay(true);
  pass(client, upstream);
  pass(upstream, client);
});
server.listen(0, '127.0.0.1', () => tell({ port: (server.address() as AddressInfo).port }));
await nextMessage();
process.exit(0);
