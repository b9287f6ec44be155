import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  KafkaBrokers,
  whyNoKafka,
} from '../../libs/ledger/src/kafka/fixtures/kafka-brokers.fixture.js';
import { KafkaFleet } from './support/kafka-fleet.js';
import { Seed } from './support/seed.js';
import { BROKERS, DRAWS, FaultSite, RATE, surviveFaults } from './support/stream-faults.js';

/** Most that one fault takes: a broker starts in seconds, a group notices a dead writer after six. */
const DRAW_MS = 60_000;
/** A broker that is silent for less than a pause or a partition lasts loses its partitions to others. */
const IMPATIENT = 'broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500';
const lacking = whyNoKafka();

let site: FaultSite | undefined;

beforeAll(async () => {
  if (lacking === undefined) site = await FaultSite.make();
}, 300_000);
afterAll(() => site?.remove());

// Without Kafka one test says what is missing.
if (lacking !== undefined) it.skip(`gateways, writers and brokers of Kafka: ${lacking}`);
else FaultSite.skipPartitions();

describe.runIf(lacking === undefined)('gateways, writers and brokers of Kafka', () => {
  it(
    'lose nothing and write nothing twice, whatever becomes of them',
    { timeout: 300_000 + DRAWS * DRAW_MS },
    async () => {
      const seed = Seed.print('faults of a stream, Kafka');
      const { place, network } = site!;
      const brokers = await KafkaBrokers.start(BROKERS, IMPATIENT, network?.places);
      const parts = { place, brokers, name: 'kafka', rate: RATE };
      await surviveFaults({ site: site!, brokers, seed }, () => new KafkaFleet(parts));
    },
  );
});
