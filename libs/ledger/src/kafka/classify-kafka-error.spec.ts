import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { classifyKafkaError } from './classify-kafka-error.js';

/** An answer in the client's form: an error of the request with one error for each part. */
const answer = (...names: string[]): Error =>
  new AggregateError(
    names.map((apiId) => Object.assign(new Error('text'), { apiId, code: 'PLT_KFK_PROTOCOL' })),
    'Producing messages failed.',
  );

describe('an error of Kafka', () => {
  it.each([
    'TOPIC_AUTHORIZATION_FAILED',
    'GROUP_AUTHORIZATION_FAILED',
    'SASL_AUTHENTICATION_FAILED',
    'MESSAGE_TOO_LARGE',
    'INVALID_CONFIG',
  ])('halts: %s', (name) => {
    expect(isLedgerError(classifyKafkaError(answer(name)), 'SINK_HALT')).toBe(true);
  });

  it.each([
    ['NOT_LEADER_OR_FOLLOWER', true],
    ['NOT_ENOUGH_REPLICAS', true],
    ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', false],
    ['REQUEST_TIMED_OUT', false],
    ['COORDINATOR_NOT_AVAILABLE', false],
  ])('is transient: %s, with a known outcome: %s', (name, outcomeKnown) => {
    const error = classifyKafkaError(answer(name));
    expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(outcomeKnown);
  });

  it('has a known outcome only if each part has one', () => {
    const error = classifyKafkaError(answer('NOT_LEADER_OR_FOLLOWER', 'REQUEST_TIMED_OUT'));
    expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(false);
  });

  it('halts if the client finds no topic, or the login is wrong', () => {
    const missing = classifyKafkaError(new Error('Unknown topic ledger-x.'));
    expect(isLedgerError(missing, 'SINK_HALT')).toBe(true);
    expect(missing.message).toContain('there is no topic ledger-x: ');
    const login = Object.assign(new Error('no'), { code: 'PLT_KFK_AUTHENTICATION' });
    const wrapped = new Error('Connection to k1:9092 failed.', { cause: login });
    expect(isLedgerError(classifyKafkaError(wrapped), 'SINK_HALT')).toBe(true);
  });

  it.each(['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT', 'ECONNRESET'])(
    'is transient if the login ended with its connection (%s)',
    (code) => {
      const cause = Object.assign(new Error('Connection closed'), { code });
      const login = Object.assign(new Error('Cannot find a suitable SASL mechanism.', { cause }), {
        code: 'PLT_KFK_AUTHENTICATION',
      });
      const error = classifyKafkaError(
        new Error('Connection to k1:9092 failed.', { cause: login }),
      );
      expect(isLedgerError(error, 'SINK_TRANSIENT')).toBe(true);
    },
  );

  it('names the socket, and reports that nothing was sent', () => {
    const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    const error = classifyKafkaError(new Error('Connection to k1:9092 failed.', { cause }));
    expect(isLedgerError(error, 'SINK_TRANSIENT')).toBe(true);
    expect(error).toMatchObject({ outcomeKnown: true, sqlState: 'ECONNREFUSED' });
  });

  it('has an unknown outcome if a connection broke before the answer', () => {
    const error = classifyKafkaError(new Error('Connection closed'));
    expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(false);
  });
});
