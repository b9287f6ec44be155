import { kafkaStream } from '../kafka/create-kafka-stream.js';
import { KafkaBrokers, whyNoKafka } from '../kafka/fixtures/kafka-brokers.fixture.js';
import { describeStreamCommands } from './fixtures/stream-commands.fixture.js';

describeStreamCommands('Kafka', whyNoKafka(), async () => {
  const brokers = await KafkaBrokers.start();
  const address = `kafka://${brokers.addresses.join(',')}?replicas=1&partitions=1`;
  return {
    url: (topic) => (topic === undefined ? address : `${address}&topic=${topic}`),
    connect: (topic) =>
      kafkaStream({
        ...{ brokers: brokers.addresses, replicas: 1, partitions: 1, sessionTimeoutMs: 6000 },
        ...(topic === undefined ? {} : { topic }),
      }),
    settings:
      'min.insync.replicas=1, unclean.leader.election.enable=false, cleanup.policy=delete, ' +
      'retention.ms=-1, retention.bytes=-1, flush.messages=9223372036854775807',
    stop: () => brokers.stop(),
  };
});
