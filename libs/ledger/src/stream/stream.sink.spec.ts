import { describe, expect, it } from 'vitest';
import { systemClock } from '../clock/clock.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import { createRowReader } from '../sink-kit/row-reader.js';
import { describeSinkConformance } from '../sink-kit/sink-conformance.js';
import { rowBatch } from '../sink-kit/sink-trial.js';
import { rowsOf } from '../segments/row-frame.js';
import { InMemoryStream } from '../testing/in-memory.stream.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { StreamFigures } from './stream-figures.js';
import { StreamWatch } from './stream-watch.js';
import { StreamSink } from './stream.sink.js';

const reader = createRowReader(PLAIN_TABLE);
const encode = createRowEncoder(PLAIN_TABLE);
const ATTEMPT = { timeoutMs: 1000, isAwaited: false, mayExist: false };

const SILENT = { log: () => undefined, warn: () => undefined, error: () => undefined };

function sinkOn(stream: LedgerStream): StreamSink {
  const clock = systemClock;
  const watch = new StreamWatch({ stream, clock, logger: SILENT, reportsUnread: false });
  const figures = new StreamFigures('gateway', watch);
  return new StreamSink({ stream, table: PLAIN_TABLE, clock, figures });
}

function rowsIn(log: InMemoryStream): Buffer[] {
  return log.payloads().flatMap((payload) => [...rowsOf(payload, reader.columns.length)]);
}

describeSinkConformance(
  'a stream in memory',
  async () => {
    const log = new InMemoryStream();
    return {
      sink: sinkOn(log.connect()),
      stored: async () =>
        new Map(rowsIn(log).map((row) => [reader.uuid(row), String(reader.entry(row).memo)])),
      block: async () => {
        log.failAlways('transient');
        return async () => log.failAlways(undefined);
      },
      dispose: async () => undefined,
    };
  },
  { level: 'eventual', refusesRows: false, runner: { describe, it } },
);

describe('a stream sink', () => {
  const memo = 'm'.repeat(8000);
  const large = (count: number) => Array.from({ length: count }, () => encode({ userId: 1, memo }));

  it('publishes a large batch in messages of at most 128 KiB, each row once', async () => {
    const log = new InMemoryStream();
    const sink = sinkOn(log.connect());
    await sink.prepare();
    const rows = large(50);
    expect(await sink.write(rowBatch(rows, 7), ATTEMPT)).toMatchObject({ written: 50 });
    const sizes = log.payloads().map(({ length }) => length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(131_072);
    expect(sizes.length).toBe(4);
    const uuids = rowsIn(log).map((row) => reader.uuid(row));
    expect(uuids.sort()).toEqual(rows.map((row) => reader.uuid(row)).sort());
  });

  it('publishes nothing of a batch with a row too large for a message, and names the row', async () => {
    const log = new InMemoryStream({ maxPayloadBytes: 4096 });
    const sink = sinkOn(log.connect());
    await sink.prepare();
    const rows = [encode({ userId: 1 }), ...large(1), encode({ userId: 2 })];
    const error: unknown = await sink.write(rowBatch(rows), ATTEMPT).catch((each: unknown) => each);
    expect(isLedgerError(error, 'SINK_ROW') && error.rowNumber).toBe(2);
    expect(log.payloads()).toEqual([]);
  });

  it('reports an unknown outcome once a part of a batch may be in the stream', async () => {
    const log = new InMemoryStream();
    const stream = log.connect();
    const sink = sinkOn(stream);
    await sink.prepare();
    const publish = stream.publish.bind(stream);
    let calls = 0;
    stream.publish = (message, timeoutMs) => {
      if (++calls > 2) log.failAlways('transient');
      return publish(message, timeoutMs);
    };
    const error: unknown = await sink
      .write(rowBatch(large(80)), ATTEMPT)
      .catch((each: unknown) => each);
    expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(false);
    stream.publish = publish;
    log.failAlways('halt');
    const halt: unknown = await sink.write(rowBatch(large(80)), ATTEMPT).catch((e: unknown) => e);
    expect(isLedgerError(halt, 'SINK_HALT')).toBe(true);
  });
});
