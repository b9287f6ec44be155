import type { StreamInfo } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { judgeSafety } from '../cli/stream-check.js';
import { safetyOf } from './read-safety.js';

/** A stream with so many copies, as the client reports it. */
function streamOf(copies: number): StreamInfo {
  const replicas = Array.from({ length: copies - 1 }, () => ({ current: true }));
  return { config: { num_replicas: copies }, cluster: { replicas } } as unknown as StreamInfo;
}

describe('the safety of a stream', () => {
  it.each([
    ['2.9.25', 3, true],
    ['2.10.12', 3, true],
    ['2.10.14', 3, false],
    ['2.11.0-RC.1', 3, false],
    ['2.9.25', 1, false],
    [undefined, 3, false],
  ])('depends on the version of the servers: %s, %i copies', (version, copies, isDefect) => {
    const found = judgeSafety(safetyOf(streamOf(copies), version));
    const text = `servers of version ${version} may lose messages`;
    const faults = found.filter(({ status }) => status === 'fault');
    expect(faults.map(({ message }) => message.slice(0, text.length))).toEqual(
      isDefect ? [text] : [],
    );
  });
});
