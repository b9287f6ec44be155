import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  KafkaBrokers,
  whyNoKafka,
} from '../../libs/ledger/src/kafka/fixtures/kafka-brokers.fixture.js';
import { KafkaFleet } from './support/kafka-fleet.js';
import { FleetPlace } from './support/stream-fleet.js';
import { ORDERS, RATE, UPGRADE_MS, upgradeUnderLoad } from './support/stream-upgrade.js';

const lacking = whyNoKafka();

let place: FleetPlace | undefined;

beforeAll(async () => {
  if (lacking === undefined) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

// Without Kafka one test says what is missing.
if (lacking !== undefined) it.skip(`one more column, over Kafka: ${lacking}`);

describe.runIf(lacking === undefined)('one more column, under load, over Kafka', () => {
  it.each(ORDERS)(
    'reaches the table without a loss, and what a writer does not read is named: $order',
    async ({ order, steps }) => {
      const brokers = await KafkaBrokers.start(3);
      const parts = { place: place!, brokers, name: order, rate: RATE };
      await upgradeUnderLoad(place!, steps, () => new KafkaFleet(parts));
    },
    UPGRADE_MS,
  );
});
