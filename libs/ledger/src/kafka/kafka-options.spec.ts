import { describe, expect, it } from 'vitest';
import { checkNodeVersion } from './check-node-version.js';
import { resolveKafkaOptions } from './kafka-stream.options.js';

describe('options of kafkaStream', () => {
  it.each([
    ['brokers', { brokers: [] }],
    ['brokers', { brokers: 'kafka://k1:9092' }],
    ['topic', { topic: 'a b' }],
    ['group', { group: '' }],
    ['partitions', { partitions: 0 }],
    ['replicas', { replicas: 16 }],
    ['sessionTimeoutMs', { sessionTimeoutMs: 5999 }],
    ['minRetentionMs', { minRetentionMs: 1 }],
  ])('name %s out of its range', (name, wrong) => {
    expect(() => resolveKafkaOptions({ brokers: 'k1:9092', ...wrong })).toThrow(
      `kafkaStream({ ${name} })`,
    );
  });

  it('have defaults', () => {
    expect(resolveKafkaOptions({ brokers: 'k1:9092' })).toMatchObject({
      ...{ brokers: ['k1:9092'], partitions: 12, replicas: 3, sessionTimeoutMs: 10_000 },
      ...{ purge: true, create: true },
    });
  });
});

describe('the version of Node.js', () => {
  it('is named in the error if it is too low for the client', () => {
    for (const good of ['22.22.0', '23.0.0', '24.6.0']) checkNodeVersion(good);
    for (const low of ['20.20.2', '22.21.9']) {
      expect(() => checkNodeVersion(low)).toThrow(`Node.js 22.22 or later`);
    }
  });
});
