import { whyNoKafka } from '../../libs/ledger/src/kafka/fixtures/kafka-brokers.fixture.js';
import type { Part } from './part.js';
import { measureStream } from './stream/measure-stream.js';

/** The cost of Kafka between gateways and writers. */
export const streamKafka: Part = {
  name: 'stream-kafka',
  title:
    'Gateways and writers over Kafka, three brokers on this machine, beside one process without',
  isQuickOnlyByName: true,
  missing: () => {
    const why = whyNoKafka();
    return why && `Kafka (${why})`;
  },
  run: (bench) =>
    measureStream(bench, 'Kafka, three replicas, acks=all, min.insync.replicas=2', async () => {
      // Its client does not start on every version of Node.js.
      const { BenchKafka } = await import('../setup/bench-kafka.js');
      return BenchKafka.open();
    }),
};
