import { describe, it } from 'vitest';
import { whyNoKafka } from '../../libs/ledger/src/kafka/fixtures/kafka-brokers.fixture.js';
import { metersAndStops } from '../../test/support/start-stream.js';

const lacking = whyNoKafka();

// Without Kafka one test says what is missing.
if (lacking !== undefined) it.skip(`start:stream -- --kafka: ${lacking}`);

describe.runIf(lacking === undefined)('npm run start:stream -- --kafka', () => {
  it(
    'has calls of both gateways in the table, and leaves nothing when it is stopped',
    () => metersAndStops(['--kafka']),
    240_000,
  );
});
