import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  KafkaBrokers,
  whyNoKafka,
} from '../../libs/ledger/src/kafka/fixtures/kafka-brokers.fixture.js';
import { kafkaStream } from '../../libs/ledger/src/kafka/create-kafka-stream.js';
import { Seed } from './support/seed.js';
import { FleetPlace, loseNothing } from './support/stream-fleet.js';

const KILLS = Number(process.env['LEDGER_STREAM_KILLS'] ?? 3);
/** Most that one kill takes: a broker starts in seconds, a group notices a dead writer after six. */
const DRAW_MS = 60_000;
const ANSWER_MS = 5000;
const lacking = whyNoKafka();

let place: FleetPlace | undefined;

beforeAll(async () => {
  if (lacking === undefined) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

// Without Kafka one test says what is missing.
if (lacking !== undefined) it.skip(`gateways, writers and brokers of Kafka: ${lacking}`);

describe.runIf(lacking === undefined)('gateways, writers and brokers of Kafka', () => {
  it(
    'lose nothing and write nothing twice, whichever of them is killed',
    { timeout: 300_000 + KILLS * DRAW_MS },
    async () => {
      const seed = Seed.print('stream kills, Kafka');
      const brokers = await KafkaBrokers.start(3);
      const observer = kafkaStream({ brokers: brokers.addresses });
      const waiting = async (): Promise<number> => {
        await observer.open({ ledger: 'default', fingerprint: 'of nobody' });
        return (await observer.backlog(ANSWER_MS)).messages;
      };
      try {
        const parts = { place: place!, brokers, engine: 'kafka', name: 'kafka', waiting } as const;
        await loseNothing(parts, KILLS, seed);
      } finally {
        await observer.close();
      }
    },
  );
});
