import { randomUUID } from 'node:crypto';
import { Test } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { defineLedger, getLedgerToken, LedgerModule, type LedgerService } from '../index.js';
import { jetStream } from '../nats/create-jet-stream.js';
import { findNatsPrograms, NatsServers } from '../nats/fixtures/nats-servers.fixture.js';
import { assertConservation } from '../testing/ledger-under-test.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';
import { checkStream, judgeSafety } from './stream-check.js';

const url = inject('databaseUrl');
const [program] = findNatsPrograms();

describe.skipIf(program === undefined)('verify --stream (needs nats-server)', () => {
  const schema = `verify_stream_${randomUUID().slice(0, 8)}`;
  const usage = defineLedger({ name: 'usage', schema });
  let admin: DataSource;
  let servers: NatsServers;
  let options: string[];

  beforeAll(async () => {
    admin = await new DataSource({ type: 'postgres', url }).initialize();
    servers = await NatsServers.start(program!);
    options = ['--database-url', url, ...definitionOptions(usage)];
    expect(
      await runProgram(
        ['migrate', ...options],
        outputTo(() => {}),
      ),
    ).toBe(0);
  });
  afterAll(async () => {
    await servers?.stop();
    await admin?.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await admin?.destroy();
  });

  const connect = (more = {}) =>
    jetStream({ servers: servers.addresses, replicas: 1, maxBytes: 100_000_000, ...more });

  async function verify(...more: string[]): Promise<{ code: number; text: string }> {
    const said: string[] = [];
    const output = outputTo((line) => void said.push(line));
    const code = await runProgram(['verify', '--grace', '0', ...more, ...options], output);
    return { code, text: said.join('\n') };
  }

  it('counts the entries of waiting messages, takes none, and misses those of a lost one', async () => {
    const address = `nats://${new URL(servers.addresses[0]!).host}`;
    const absent = await verify('--stream', address);
    expect(absent.code).toBe(2);
    expect(absent.text).toContain("the stream can't be read");
    const gateway = { ledger: usage, stream: connect(), role: 'gateway' as const };
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot(gateway)],
    }).compile();
    module.useLogger(false);
    await module.init();
    const ledger = module.get<LedgerService<typeof usage>>(getLedgerToken(usage), {
      strict: false,
    });
    // A message for each.
    for (let i = 1; i <= 3; i++) await ledger.recordAndWait({ userId: i });
    for (let look = 0; look < 2; look++) {
      const whole = await verify('--stream', address);
      expect(whole.text).toContain('queued 3, in the table 0');
      expect(whole.text).toContain('in the stream 3, missing 0');
      expect(whole.code).toBe(0);
    }
    const writer = connect();
    await writer.open({ ledger: 'usage', fingerprint: 'any', reads: () => true });
    const limits = { messages: 1, bytes: 1_000_000, waitMs: 10_000 };
    const [lost] = await writer.take(limits, new AbortController().signal);
    lost!.done();
    await writer.close();
    const after = await verify('--stream', address);
    expect(after.text).toContain('in the stream 2, missing 1: 0');
    expect(after.code).toBe(1);
    await module.close();
    assertConservation(ledger.stats());
  });

  it('is what doctor looks at too: copies, syncing, and what nobody reads', async () => {
    const address = `nats://${new URL(servers.addresses[0]!).host}?stream=ledger-other`;
    const named = { ...usage, name: 'other' };
    expect(await checkStream(address, named)).toMatchObject([{ check: 'stream', status: 'fault' }]);
    const layout = { ledger: 'other', fingerprint: '0123456789abcdef' };
    const gateway = connect({ stream: 'ledger-other' });
    await gateway.open(layout);
    await gateway.close();
    const found = await checkStream(address, named);
    expect(found).toMatchObject([
      { check: 'stream', status: 'warning' },
      { check: 'waiting messages', status: 'ok' },
    ]);
    expect(found[0]!.message).toContain('one copy of each message: no server may be lost');
    const publisher = connect({ stream: 'ledger-other' });
    await publisher.open(layout);
    const payload = [Buffer.from('x')];
    await publisher.publish({ id: 'x', ...layout, headers: {}, payload, bytes: 1 }, 5000);
    await publisher.close();
    const [, unread] = await checkStream(address, named);
    expect(unread).toMatchObject({
      status: 'warning',
      message: `messages wait that no writer reads, by layout ${layout.fingerprint}: 1`,
    });
  });

  it('refuses an address that is none, without its password', async () => {
    const { code, text } = await verify('--stream', 'amqp://u:secret@h');
    expect(code).toBe(2);
    expect(text).toContain("the stream's address (--stream) must begin with nats:// or tls://");
    expect(text).not.toContain('secret');
  });
});

describe('what doctor says of copies', () => {
  it.each([
    [{ copies: 1, syncs: false }, 'warning', 'one copy of each message: no server may be lost'],
    [{ copies: 3, syncs: false }, 'warning', 'acknowledged before they are synced, so a loss'],
    [{ copies: 3, syncs: undefined }, 'warning', 'is not known from here, so a loss of power'],
    [{ copies: 3, syncs: true }, 'ok', 'one server may be lost; they are synced before'],
  ])('%o: %s', (safety, status, text) => {
    const { status: found, message } = judgeSafety(safety);
    expect(found).toBe(status);
    expect(message).toContain(text);
  });
});
