import { describe, expect, it } from 'vitest';
import { findNatsPrograms } from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { metersAndStops, StartStream } from '../../test/support/start-stream.js';

const [nats] = findNatsPrograms();

if (nats === undefined) it.skip('start:stream with servers (needs nats-server)');

describe.skipIf(nats === undefined)('npm run start:stream (needs nats-server)', () => {
  it(
    'has calls of both gateways in the table, and leaves nothing when it is stopped',
    () => metersAndStops([], { NATS_SERVER: nats!.path }),
    180_000,
  );
});

describe('npm run start:stream', () => {
  it('says what to install where nats-server does not run', async () => {
    const stream = new StartStream([], { NATS_SERVER: '/nowhere/nats-server' });
    expect(await stream.code()).toBe(1);
    expect(stream.said).toContain('NATS_SERVER is /nowhere/nats-server, which does not run');
    expect(stream.said).toContain('apt-get install nats-server');
    expect(stream.said).not.toMatch(/^ +at /m);
  });

  it('says what to install where Kafka, its Java or the Node.js of its client is missing', async () => {
    const nowhere = { KAFKA_LIB: '/nowhere', JAVA_HOME: '/nowhere', KAFKA_NODE: '/nowhere/node' };
    const stream = new StartStream(['--kafka'], nowhere);
    expect(await stream.code()).toBe(1);
    expect(stream.said).toContain('KAFKA_LIB is /nowhere, which has no jars of a broker');
    expect(stream.said).toContain('brew install kafka');
    expect(stream.said).toContain('/nowhere/bin/java does not run');
    expect(stream.said).toContain('/nowhere/node does not run');
    expect(stream.said).not.toMatch(/^ +at /m);
  });

  it('names a number of servers that it does not start', async () => {
    const stream = new StartStream(['--brokers', '2']);
    expect(await stream.code()).toBe(1);
    expect(stream.said).toBe('--brokers must be 1 or 3, and is 2\n');
  });
});
