import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { InMemorySink } from './in-memory.sink.js';
import { rowBatch } from '../sink-kit/sink-trial.js';

const ATTEMPT = { timeoutMs: 1000, isAwaited: false, mayExist: false };
const UUIDS = ['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002'];

/** The part of a row that this sink reads: field count, length of the uuid, uuid, content. */
function row(uuid: string, content = ''): Buffer {
  const head = Buffer.from([0, 11, 0, 0, 0, 16]);
  return Buffer.concat([head, Buffer.from(uuid.replaceAll('-', ''), 'hex'), Buffer.from(content)]);
}

const batch = () => rowBatch(UUIDS.map((uuid) => row(uuid)));

describe('InMemorySink', () => {
  it('fails as often as requested, then writes', async () => {
    const sink = new InMemorySink();
    sink.failNext({ kind: 'transient', sqlState: '53300' }, 2);
    for (let i = 0; i < 2; i += 1) {
      const error: unknown = await sink.write(batch(), ATTEMPT).catch((e: unknown) => e);
      expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(true);
      expect(error).toHaveProperty('sqlState', '53300');
    }
    await expect(sink.write(batch(), ATTEMPT)).resolves.toMatchObject({ written: 2 });
    expect(sink.calls).toHaveLength(3);
  });

  it('keeps the rows of an attempt whose answer was lost', async () => {
    const sink = new InMemorySink();
    sink.failNext({ kind: 'transient', rows: 'in' });
    const error: unknown = await sink.write(batch(), ATTEMPT).catch((e: unknown) => e);
    expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(false);
    const again = await sink.write(batch(), { ...ATTEMPT, mayExist: true });
    expect(again).toEqual({ written: 0, duplicates: [0, 1], conflicts: [] });
  });

  it('can write the rows of a timed-out attempt after its repetition', async () => {
    const sink = new InMemorySink();
    sink.failNext({ kind: 'transient', rows: 'late' });
    await expect(sink.write(batch(), ATTEMPT)).rejects.toHaveProperty('outcomeKnown', false);
    expect(sink.rows.size).toBe(0);
    await sink.write(batch(), { ...ATTEMPT, mayExist: true });
    expect(sink.landLate()).toBe(1);
    expect([...sink.rows.keys()]).toEqual(UUIDS);
  });

  it('names a refused row until it is accepted', async () => {
    const sink = new InMemorySink();
    sink.refuse(UUIDS[1]!, '23503');
    const error: unknown = await sink.write(batch(), ATTEMPT).catch((e: unknown) => e);
    expect(isLedgerError(error, 'SINK_ROW') && [error.rowNumber, error.sqlState]).toEqual([
      2,
      '23503',
    ]);
    expect(sink.rows.size).toBe(0);
    sink.accept(UUIDS[1]!);
    await expect(sink.write(batch(), ATTEMPT)).resolves.toMatchObject({ written: 2 });
  });

  it('holds writes until they are released, to succeed or to fail', async () => {
    const sink = new InMemorySink();
    sink.hold();
    const first = sink.write(batch(), ATTEMPT);
    const second = sink.write(batch(), ATTEMPT);
    expect(sink.held.map(({ call }) => call.uuids)).toEqual([UUIDS, UUIDS]);
    sink.held[1]!.release({ kind: 'halt' });
    await expect(second).rejects.toSatisfy((error) => isLedgerError(error, 'SINK_HALT'));
    sink.held[0]!.release();
    await expect(first).resolves.toMatchObject({ written: 2 });
    expect(sink.held).toEqual([]);
  });

  it('can be unreachable for prepare and ping too', async () => {
    const sink = new InMemorySink();
    sink.failAlways({ kind: 'transient' });
    await expect(sink.prepare()).rejects.toSatisfy((error) =>
      isLedgerError(error, 'SINK_TRANSIENT'),
    );
    await expect(sink.ping(1)).rejects.toSatisfy((error) => isLedgerError(error, 'SINK_TRANSIENT'));
    sink.failAlways(undefined);
    await sink.prepare();
    await sink.ping(1);
  });

  it('keeps copies, because the channel reuses its memory', async () => {
    const sink = new InMemorySink();
    const rows = [row(UUIDS[0]!, 'before')];
    await sink.write(rowBatch(rows), ATTEMPT);
    rows[0]!.fill(0);
    expect(sink.rows.get(UUIDS[0]!)!.subarray(22).toString()).toBe('before');
  });
});
