import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerStream, StreamMessage } from '../ports/ledger-stream.interface.js';
import type { StreamTest } from './stream-conformance.js';
import {
  COMES_MS,
  contentOf,
  MANY,
  message,
  PUBLISH_MS,
  QUIET_MS,
  UNKNOWN,
  KNOWN,
  type StreamTrial,
} from './stream-trial.js';

/** Rounds of the test of redeliveries: a machine that stands still in one says nothing about a stream. */
const ROUNDS = 5;

/** Says that a message is being processed, and measures for how long nobody could. */
class Life {
  #longestMs = 0;
  #lastAt = performance.now();
  readonly #answers: Promise<void>[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(
    held: StreamMessage,
    { stream, redeliverMs }: { stream: LedgerStream; redeliverMs: number },
  ) {
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#note(this.#lastAt);
      this.#lastAt = now;
      held.alive();
      // The stream may stand still too, and then takes no sign of life.
      const note = (): void => this.#note(now);
      this.#answers.push(stream.ping(COMES_MS).then(note, note));
    }, redeliverMs / 5);
  }

  #note(since: number): void {
    this.#longestMs = Math.max(this.#longestMs, performance.now() - since);
  }

  /** @returns milliseconds */
  async end(): Promise<number> {
    clearInterval(this.#timer);
    this.#note(this.#lastAt);
    await Promise.all(this.#answers);
    return this.#longestMs;
  }
}

/** Fails unless this message comes, and then none. */
async function onlyAgain(
  trial: StreamTrial,
  writer: LedgerStream,
  { content, redeliverMs }: { content: string; redeliverMs: number },
): Promise<void> {
  const [again] = await trial.take(writer, 1);
  assert.equal(contentOf(again!), content);
  again!.done();
  await delay(redeliverMs);
  await trial.expectNone(writer);
}

/** What a writer does. @internal */
export const TAKING: Readonly<Record<string, StreamTest>> = {
  'delivers a message once that a writer is done with': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    await trial.publish(gateway, 'one', 'two');
    assert.deepEqual((await trial.contents(writer, 2)).sort(), ['one', 'two']);
    await writer.close(1000);
    const other = await trial.writer();
    await trial.publish(gateway, 'three');
    assert.deepEqual(await trial.contents(other, 1), ['three']);
  },

  'gives each message to one of two writers': async (trial) => {
    const gateway = await trial.gateway();
    const writers = [await trial.writer(), await trial.writer()];
    const contents = Array.from({ length: 30 }, (_, index) => `content ${index}`);
    for (const content of contents) await trial.publish(gateway, content);
    const taken: string[] = [];
    const until = performance.now() + COMES_MS;
    while (taken.length < contents.length && performance.now() < until) {
      const both = await Promise.all(
        writers.map((writer) => writer.take({ ...MANY, messages: 3, waitMs: 50 }, trial.signal)),
      );
      for (const each of both.flat()) {
        taken.push(contentOf(each));
        each.done();
      }
    }
    assert.deepEqual(taken.sort(), contents.sort());
  },

  'delivers again what was left for later, and says how often': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    await trial.publish(gateway, 'later');
    for (const redeliveries of [0, 1, 2]) {
      const [taken] = await trial.take(writer, 1);
      assert.equal(contentOf(taken!), 'later');
      assert.equal(taken!.redeliveries, redeliveries);
      if (redeliveries < 2) taken!.later(0);
      else taken!.done();
    }
    await trial.expectNone(writer);
  },

  'delivers to another writer what one that closed was not done with': async (trial) => {
    const gateway = await trial.gateway();
    const gone = await trial.writer();
    await trial.publish(gateway, 'one', 'two');
    const [done, left, ...others] = await trial.take(gone, 2);
    assert.deepEqual(others, []);
    done!.done();
    left!.later(0);
    await gone.close(1000);
    // Which of the two came first is the stream's business.
    assert.deepEqual(await trial.contents(await trial.writer(), 1), [contentOf(left!)]);
  },

  'delivers again what nobody was alive for, and not what somebody was': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const { redeliverMs } = writer;
    // Only once the writer is gone: the test before.
    if (redeliverMs === Number.POSITIVE_INFINITY) return;
    const other = await trial.writer();
    for (let round = 1; ; round++) {
      const contents = [`held ${round}`, `silent ${round}`];
      await trial.publish(gateway, ...contents);
      const [held, silent] = await trial.take(writer, 2);
      assert.deepEqual(
        [held, silent].map((each) => contentOf(each!)),
        contents,
      );
      const life = new Life(held!, { stream: gateway, redeliverMs });
      try {
        await onlyAgain(trial, other, { content: contents[1]!, redeliverMs });
        return;
      } catch (error) {
        // Otherwise nobody was alive for it: the process, or the stream, stood still.
        if (round === ROUNDS || (await life.end()) <= redeliverMs / 2) throw error;
      } finally {
        void life.end();
        held!.done();
        silent!.done();
      }
      for (const left of await trial.take(other, 2, 2 * redeliverMs)) left.done();
    }
  },

  'gives no more than it is asked for, and at least one message': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    await trial.publish(gateway, ...['a', 'b', 'c', 'd'].map((letter) => letter.repeat(2000)));
    const signal = trial.signal;
    const two = await writer.take({ messages: 2, bytes: 1_048_576, waitMs: COMES_MS }, signal);
    assert.ok(two.length >= 1 && two.length <= 2, `${two.length} messages`);
    for (const each of two) each.done();
    const small = await writer.take({ messages: 9, bytes: 1, waitMs: COMES_MS }, signal);
    assert.equal(small.length, 1);
    small[0]!.done();
    assert.equal((await trial.contents(writer, 3 - two.length)).length, 3 - two.length);
  },

  'ends a take at its time limit, and at once if it is aborted': async (trial) => {
    const writer = await trial.writer();
    assert.deepEqual(await writer.take({ ...MANY, waitMs: 100 }, trial.signal), []);
    const abort = new AbortController();
    const taking = writer.take({ ...MANY, waitMs: COMES_MS * 10 }, abort.signal);
    await delay(QUIET_MS);
    abort.abort();
    assert.deepEqual(await taking, []);
  },

  'loses no message that comes while a take is aborted': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const contents = Array.from({ length: 20 }, (_, index) => `content ${index}`);
    const taken: string[] = [];
    for (const content of contents) {
      const abort = new AbortController();
      const taking = writer.take({ ...MANY, waitMs: COMES_MS }, abort.signal);
      const publishing = trial.publish(gateway, content);
      await delay(1);
      abort.abort();
      for (const each of await taking) {
        taken.push(contentOf(each));
        each.done();
      }
      await publishing;
    }
    taken.push(...(await trial.contents(writer, contents.length - taken.length)));
    assert.deepEqual([...new Set(taken)].sort(), contents.sort());
  },

  'leaves what no writer reads, names it, and delivers it to one that does': async (trial) => {
    const gateway = await trial.gateway();
    const old = await trial.writer();
    await trial.publish(gateway, 'known');
    assert.deepEqual(await trial.contents(old, 1), ['known']);
    await gateway.publish(message('new column', UNKNOWN), PUBLISH_MS);
    await trial.expectNone(old);
    const { unread } = await old.backlog(PUBLISH_MS);
    assert.deepEqual(unread, [{ fingerprint: UNKNOWN, messages: 1 }]);
    await old.close(1000);
    const newer = await trial.writer(KNOWN, UNKNOWN);
    assert.deepEqual(await trial.contents(newer, 1), ['new column']);
  },
};
