import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { KNOWN, message } from '../sink-kit/stream-trial.js';
import { jetStream } from './create-jet-stream.js';
import { findNatsPrograms, NatsServers } from './fixtures/nats-servers.fixture.js';

const programs = findNatsPrograms();
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };
/** More than the changed limit, and less than that of the start. */
const LARGE = message('x'.repeat(50_000));

// Without a program one test reports which is missing.
if (programs.length === 0) it.skip('nats-server is not installed');

describe.each(programs)('a lower limit than at the start, nats-server $version', (program) => {
  async function start(): Promise<{ servers: NatsServers; gateway: LedgerStream }> {
    const servers = await NatsServers.start(program);
    onTestFinished(() => servers.stop());
    const options = { replicas: 1, maxBytes: 100_000_000 };
    const gateway = jetStream({ servers: servers.addresses, ...options });
    onTestFinished(() => gateway.close());
    await gateway.open(TOPIC);
    await gateway.publish(LARGE, 5000);
    return { servers, gateway };
  }

  /** The code of the refusal. */
  const refusal = (gateway: LedgerStream): Promise<unknown> =>
    gateway.publish(LARGE, 5000).then(
      () => 'stored',
      (error: unknown) => (isLedgerError(error) ? error.code : error),
    );

  it.each(['max_payload of the servers', 'max_msg_size of the stream'])(
    'is followed, so that batches are cut smaller (%s)',
    async (limit) => {
      const { servers, gateway } = await start();
      const before = gateway.maxPayloadBytes;
      if (limit.startsWith('max_payload')) await servers.reload('max_payload: 32768');
      else {
        const nc = await connect({ servers: servers.addresses });
        onTestFinished(() => nc.close());
        const manager = await jetstreamManager(nc);
        await manager.streams.update('ledger-conformance', { max_msg_size: 32_768 });
      }
      await expect
        .poll(() => refusal(gateway), { timeout: 20_000, interval: 200 })
        .toBe('SINK_ROW');
      expect(before).toBeGreaterThan(1_000_000);
      expect(gateway.maxPayloadBytes).toBe(32_768 - 8192);
      await gateway.publish(message('x'.repeat(gateway.maxPayloadBytes)), 5000);
    },
    60_000,
  );
});
