import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerStream, OutgoingMessage } from '../ports/ledger-stream.interface.js';
import { KNOWN, message } from '../sink-kit/stream-trial.js';
import { jetStream } from './create-jet-stream.js';
import { findReliableNats, NatsServers } from './fixtures/nats-servers.fixture.js';

/** Older servers have no such limit. */
const programs = findReliableNats();
const STREAM = 'ledger-conformance';
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };

const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'stored',
    (error: unknown) => (isLedgerError(error) ? error.code : error),
  );

// Without a program one test reports which is missing.
if (programs.length === 0) it.skip('nats-server 2.10.14 or later is not installed');

describe.each(programs)(
  'a message that servers are still busy with, nats-server $version',
  (program) => {
    const open: LedgerStream[] = [];
    afterEach(async () => {
      await Promise.all(open.splice(0).map((each) => each.close()));
    });
    const stream = (servers: string | string[], more: object = {}): LedgerStream => {
      const made = jetStream({ servers, stream: STREAM, maxBytes: 100_000_000, ...more });
      open.push(made);
      return made;
    };

    it('is tried again if too many others are before it', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'nats-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const config = `jetstream { store_dir: "${folder}", max_buffered_msgs: 1 }`;
      const servers = await NatsServers.start(program, 1, config);
      onTestFinished(() => servers.stop());
      const gateway = stream(servers.addresses, { replicas: 1 });
      await gateway.open(TOPIC);
      const messages = Array.from({ length: 1000 }, (_, i) => message(`${i}`));
      const publish = (each: OutgoingMessage) => outcome(gateway.publish(each, 5000));
      const outcomes = await Promise.all(messages.map(publish));
      expect(new Set(outcomes)).toEqual(new Set(['stored', 'SINK_TRANSIENT']));
      const refused = messages.filter((_, i) => outcomes[i] !== 'stored');
      for (const each of refused) expect(await publish(each)).toBe('stored');
      expect(await gateway.backlog(10_000)).toMatchObject({ messages: messages.length });
    });
  },
);
