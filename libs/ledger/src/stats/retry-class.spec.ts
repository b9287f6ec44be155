import { describe, expect, it } from 'vitest';
import { SinkHaltError, SinkRowError, SinkTransientError } from '../errors/sink.errors.js';
import { classifyRetry } from './retry-class.js';

describe('classifyRetry', () => {
  it.each([
    [undefined, 'connection'],
    ['ECONNREFUSED', 'connection'],
    ['EPIPE', 'connection'],
    ['08006', 'connection'],
    ['57P01', 'connection'],
    ['57014', 'timeout'],
    ['55P03', 'timeout'],
    ['55000', 'other'],
    ['53300', 'too_many_connections'],
    ['53100', 'resources'],
    ['40P01', 'rollback'],
    ['25006', 'read_only'],
    ['XX000', 'other'],
  ])('puts a transient failure with %s into %s', (sqlState, retryClass) => {
    const error = new SinkTransientError('failed', { sqlState, outcomeKnown: true });
    expect(classifyRetry(error, false)).toBe(retryClass);
  });

  it('classifies failures of all batches as halted', () => {
    expect(classifyRetry(new SinkHaltError('no table', { sqlState: '42P01' }), true)).toBe(
      'halted',
    );
    expect(classifyRetry(new SinkRowError('17 rows refused', {}), true)).toBe('halted');
  });

  it('classifies errors that no sink should throw as other', () => {
    expect(classifyRetry(new TypeError('a fault of ours'), false)).toBe('other');
    expect(classifyRetry('no error at all', false)).toBe('other');
  });
});
