import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  KafkaBrokers,
  whyNoKafka,
} from '../../libs/ledger/src/kafka/fixtures/kafka-brokers.fixture.js';
import { kafkaStream } from '../../libs/ledger/src/kafka/create-kafka-stream.js';
import type { LedgerStream } from '../../libs/ledger/src/ports/ledger-stream.interface.js';
import { Seed } from './support/seed.js';
import {
  FleetPlace,
  StreamFleet,
  withFleet,
  type StreamFleetParts,
} from './support/stream-fleet.js';

const KILLS = Number(process.env['LEDGER_STREAM_KILLS'] ?? 3);
/** Most that one kill takes: a broker starts in seconds, a group notices a dead writer after six. */
const DRAW_MS = 60_000;
const ANSWER_MS = 5000;
/** Entries a second of each of two gateways. */
const RATE = 3000;
const lacking = whyNoKafka();

/** A fleet over Kafka. */
class KafkaFleet extends StreamFleet<KafkaBrokers> {
  readonly #observer: LedgerStream;

  constructor(parts: StreamFleetParts<KafkaBrokers>) {
    super('kafka', parts);
    this.#observer = kafkaStream({ brokers: parts.brokers.addresses });
  }

  override async waiting(): Promise<number> {
    await this.#observer.open({ ledger: 'default', fingerprint: 'of nobody' });
    return (await this.#observer.backlog(ANSWER_MS)).messages;
  }

  override async end(): Promise<void> {
    await this.#observer.close();
    await super.end();
  }
}

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
      const parts = { place: place!, brokers, name: 'kafka', rate: RATE };
      await withFleet(
        place!,
        () => new KafkaFleet(parts),
        async (fleet) => {
          const deck = seed.deck(['gateway', 'writer', 'broker']);
          for (let kill = 0; kill < KILLS; kill++) {
            const victim = deck.next().value;
            const which = seed.integer(0, victim === 'broker' ? 2 : 1);
            process.stdout.write(`kill ${kill + 1}: ${victim} ${which}\n`);
            if (victim === 'broker') {
              await brokers.signal(which, 'SIGKILL');
              await pause(seed.integer(0, 3000));
              await brokers.restart(which);
            } else await fleet.replace(victim === 'gateway' ? which : 2 + which);
            await fleet.goesOn();
            await pause(seed.integer(0, 2000));
          }
          await fleet.losesNothing();
        },
      );
    },
  );
});
