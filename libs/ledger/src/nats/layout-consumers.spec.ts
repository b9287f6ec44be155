import type { JetStreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { LayoutConsumers } from './layout-consumers.js';

/** What a server says of a stream with messages of one layout beside the writer's own. */
class Server {
  /** Whether the other layout's last message is still there when it is asked for. */
  hasMessage = true;
  readonly asManager = {
    streams: {
      info: async () => ({ state: { subjects: { 'ledger.usage.older': 1 } } }),
      getMessage: async () => (this.hasMessage ? { header: headers() } : null),
    },
    consumers: { add: async () => undefined },
  } as unknown as JetStreamManager;
}

describe('the consumers of a writer', () => {
  it('have a layout whose messages another writer took at the first look', async () => {
    const server = new Server();
    let now = 0;
    const topic = { ledger: 'usage', fingerprint: 'own', reads: () => true };
    const parts = { stream: 's', topic, ackWaitMs: 1000, now: () => now };
    const consumers = new LayoutConsumers(parts);
    server.hasMessage = false;
    await consumers.look(server.asManager);
    expect(consumers.names).toEqual(['own']);
    server.hasMessage = true;
    now += 2000;
    await consumers.look(server.asManager);
    expect(consumers.names).toEqual(['own', 'older']);
  });

  it('are not asked again about a layout that this writer can not read', async () => {
    const server = new Server();
    let now = 0;
    let asked = 0;
    const reads = (): boolean => ++asked === 0;
    const topic = { ledger: 'usage', fingerprint: 'own', reads };
    const consumers = new LayoutConsumers({ stream: 's', topic, ackWaitMs: 1000, now: () => now });
    for (let look = 0; look < 3; look++) {
      await consumers.look(server.asManager);
      now += 2000;
    }
    expect(asked).toBe(1);
    expect(consumers.names).toEqual(['own']);
  });
});
