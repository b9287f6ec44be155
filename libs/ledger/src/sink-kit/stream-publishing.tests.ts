import assert from 'node:assert/strict';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { failure, SHORT_MS } from './sink-trial.js';
import type { StreamTest } from './stream-conformance.js';
import { contentOf, KNOWN, message, PUBLISH_MS } from './stream-trial.js';

/** An attempt that runs longer has no end; less would judge the machine that the suite runs on. */
const ENDLESS_MS = 10_000;

/** What a gateway does. @internal */
export const PUBLISHING: Readonly<Record<string, StreamTest>> = {
  'delivers headers and bytes as they were published': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const [published] = await trial.publish(gateway, 'one \u00e4\u0000\n row');
    const [taken] = await trial.take(writer, 1);
    assert.deepEqual({ ...taken!.headers }, { ...published!.headers });
    assert.deepEqual(taken!.payload, Buffer.concat(published!.payload));
    assert.equal(taken!.redeliveries, 0);
    taken!.done();
  },

  'keeps a message that was published before any writer came': async (trial) => {
    const gateway = await trial.gateway();
    await trial.publish(gateway, 'early');
    assert.deepEqual(await trial.contents(await trial.writer(), 1), ['early']);
  },

  'lists what waits, if it can, and takes none of it': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const contents = ['one', 'two', 'three'];
    await trial.publish(gateway, ...contents);
    if (gateway.browse === undefined) return;
    const [taken] = await trial.take(writer, 1);
    const listed: string[] = [];
    for await (const { headers, payload } of gateway.browse()) {
      assert.equal(headers['ledger-fingerprint'], KNOWN);
      listed.push(contentOf({ payload }));
    }
    // Parts of a stream are listed one after the other.
    assert.deepEqual(listed.sort(), contents.toSorted());
    taken!.later(0);
    assert.deepEqual((await trial.contents(writer, 3)).sort(), contents.sort());
  },

  'has bytes of its own once a message was published': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const published = message('before');
    await gateway.publish(published, PUBLISH_MS);
    for (const slice of published.payload) slice.fill(0);
    assert.deepEqual(await trial.contents(writer, 1), ['before']);
  },

  'takes many messages at once and loses none': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const contents = Array.from({ length: 40 }, (_, index) => `content ${index}`);
    await Promise.all(contents.map((content) => gateway.publish(message(content), PUBLISH_MS)));
    assert.deepEqual((await trial.contents(writer, 40)).sort(), contents.sort());
  },

  'takes a message again whose outcome is unknown, and delivers it': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const again = message('again');
    for (let i = 0; i < 2; i++) await gateway.publish(again, PUBLISH_MS);
    const [first] = await trial.take(writer, 1);
    assert.equal(contentOf(first!), 'again');
    first!.done();
  },

  'takes a payload of the size that it names, and refuses a larger one as a row': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const largest = 'x'.repeat(gateway.maxPayloadBytes);
    const error = await failure(gateway.publish(message(`${largest}x`), PUBLISH_MS));
    assert.ok(isLedgerError(error, 'SINK_ROW'), String(error));
    await trial.publish(gateway, largest);
    const [taken] = await trial.take(writer, 1);
    assert.equal(taken!.payload.length, gateway.maxPayloadBytes);
    taken!.done();
  },

  'ends a publish in time when nothing gets through, and goes on afterwards': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    const unblock = await trial.subject.block();
    const late = message('late');
    try {
      const begin = performance.now();
      const error = await failure(gateway.publish(late, SHORT_MS));
      const ms = performance.now() - begin;
      const pinged = await failure(gateway.ping(SHORT_MS));
      assert.ok(isLedgerError(error, 'SINK_TRANSIENT'), String(error));
      assert.ok(isLedgerError(pinged, 'SINK_TRANSIENT'), String(pinged));
      assert.ok(ms < ENDLESS_MS, `took ${ms} ms`);
    } finally {
      await unblock();
    }
    await publishUntilTaken(() => gateway.publish(late, PUBLISH_MS));
    await gateway.ping(PUBLISH_MS);
    const [taken] = await trial.take(writer, 1);
    assert.equal(contentOf(taken!), 'late');
    taken!.done();
  },

  'tells how much waits, and takes nothing out by telling': async (trial) => {
    const gateway = await trial.gateway();
    const writer = await trial.writer();
    assert.deepEqual(await gateway.backlog(PUBLISH_MS), {
      ...{ messages: 0, bytes: 0, oldestAgeMs: 0, unread: [] },
    });
    await trial.publish(gateway, 'one', 'two');
    const { messages, bytes, unread } = await gateway.backlog(PUBLISH_MS);
    assert.equal(messages, 2);
    assert.ok(bytes >= 6, `${bytes} bytes`);
    assert.deepEqual(unread, []);
    assert.deepEqual((await trial.contents(writer, 2)).sort(), ['one', 'two']);
  },

  'closes more than once, and takes no message afterwards': async (trial) => {
    const gateway = await trial.gateway();
    await gateway.close();
    await gateway.close();
    const error = await failure(gateway.publish(message('after', KNOWN), SHORT_MS));
    assert.ok(
      isLedgerError(error, 'SINK_TRANSIENT') || isLedgerError(error, 'SINK_HALT'),
      String(error),
    );
  },
};

/** A stream that was away may refuse some more times before it finds its way back. */
async function publishUntilTaken(publish: () => Promise<void>): Promise<void> {
  const until = performance.now() + ENDLESS_MS;
  for (;;) {
    try {
      return await publish();
    } catch (error) {
      if (!isLedgerError(error, 'SINK_TRANSIENT') || performance.now() > until) throw error;
    }
  }
}
