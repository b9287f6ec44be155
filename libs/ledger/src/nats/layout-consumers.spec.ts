import { headers } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { LayoutConsumers } from './layout-consumers.js';
import type { NatsSession } from './nats-link.js';

/** Answers of a server for a stream with messages of one layout in addition to the writer's own. */
class Server {
  /** Whether the other layout's last message still exists when requested. */
  hasMessage = true;
  readonly asSession = {
    manager: {
      streams: {
        info: async () => ({ state: { subjects: { 'ledger.usage.older': 1 } } }),
        getMessage: async () => (this.hasMessage ? { header: headers() } : null),
      },
      consumers: { add: async () => ({ config: { ack_policy: 'explicit' } }) },
    },
  } as unknown as NatsSession;
}

describe('the consumers of a writer', () => {
  it('include a layout whose messages another writer took at the first look', async () => {
    const server = new Server();
    let now = 0;
    const topic = { ledger: 'usage', fingerprint: 'own', reads: () => true };
    const parts = { stream: 's', topic, ackWaitMs: 1000, now: () => now };
    const consumers = new LayoutConsumers(parts);
    server.hasMessage = false;
    await consumers.look(server.asSession);
    expect(consumers.names).toEqual(['own']);
    server.hasMessage = true;
    now += 2000;
    await consumers.look(server.asSession);
    expect(consumers.names).toEqual(['own', 'older']);
  });

  it('do not check a layout again that this writer cannot read', async () => {
    const server = new Server();
    let now = 0;
    let asked = 0;
    const reads = (): boolean => ++asked === 0;
    const topic = { ledger: 'usage', fingerprint: 'own', reads };
    const consumers = new LayoutConsumers({ stream: 's', topic, ackWaitMs: 1000, now: () => now });
    for (let look = 0; look < 3; look++) {
      await consumers.look(server.asSession);
      now += 2000;
    }
    expect(asked).toBe(1);
    expect(consumers.names).toEqual(['own']);
  });
});
