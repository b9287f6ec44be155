import { describe, expect, it } from 'vitest';
import { RowCodec } from '../codec/row-codec.js';
import { newRun } from '../codec/uuid.js';
import { columnName } from '../entry/columns.js';
import { type LedgerTable } from '../entry/ledger-definition.js';
import { rowTypes } from '../sink/column-arrays.js';
import { Counters } from '../stats/counters.js';
import { LossReporter } from '../stats/loss-reporter.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { systemClock } from '../clock/clock.js';
import { DeadLetterKeeper } from '../writer/dead-letter-keeper.js';
import { InvalidReporter } from '../writer/invalid-reporter.js';
import type { Channel } from './channel.js';
import { Handoff } from './handoff.js';
import { Intake } from './intake.js';
import { EVERY_COLUMN, HostileEntries, seededRandom } from './fixtures/hostile-entries.fixture.js';

/** Total over all definitions; `npm run soak -- faults` uses more. */
const ENTRIES = process.env['LEDGER_SOAK'] ? 1_000_000 : 100_000;
const DEFINITIONS: readonly LedgerTable[] = [
  PLAIN_TABLE,
  { ...PLAIN_TABLE, ids: 'text', columns: { model: 'text', costNanos: 'bigint' } },
  { ...PLAIN_TABLE, ids: 'uuid', columns: EVERY_COLUMN },
  { ...PLAIN_TABLE, ids: 'bigint', columns: { labels: 'jsonb', price: 'numeric' } },
];
const AT_ONCE = 500;
const LOOKED_AT_EVERY = 10;

/** The field of a row that the server would refuse; undefined if it accepts all. */
function fieldAtFault(
  row: Buffer,
  columns: readonly string[],
  table: LedgerTable,
): string | undefined {
  const types = rowTypes(table);
  if (row.readInt16BE(0) !== types.length) return 'field count';
  let at = 2;
  for (const [index, type] of types.entries()) {
    const length = row.readInt32BE(at);
    at += 4;
    const bytes = row.subarray(at, at + Math.max(0, length));
    if (length >= 0 && !isAcceptable(type, bytes)) return columns[index];
    at += bytes.length;
  }
  return at === row.length ? undefined : 'row length';
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const SIZES: Record<string, number> = {
  uuid: 16,
  bigint: 8,
  integer: 4,
  boolean: 1,
  timestamptz: 8,
};

function isAcceptable(type: string, bytes: Buffer): boolean {
  if (type in SIZES) return bytes.length === SIZES[type];
  if (type === 'numeric') return isNumeric(bytes);
  const text = utf8.decode(type === 'jsonb' ? bytes.subarray(1) : bytes);
  if (type === 'text') return !text.includes('\0');
  JSON.parse(text);
  // jsonb refuses U+0000 and half surrogate pairs, even as escapes.
  return bytes[0] === 1 && !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i.test(text);
}

/** Source: numeric_recv in PostgreSQL's numeric.c. */
function isNumeric(bytes: Buffer): boolean {
  const digits = bytes.readUInt16BE(0);
  const isSign = [0, 0x4000].includes(bytes.readUInt16BE(4));
  const isScale = bytes.readUInt16BE(6) <= 0x3fff;
  if (!isSign || !isScale || bytes.length !== 8 + 2 * digits) return false;
  for (let i = 0; i < digits; i++) if (bytes.readUInt16BE(8 + 2 * i) > 9999) return false;
  return true;
}

/** Takes all queued rows and checks that each is unchanged and acceptable to the server. */
function look(channel: Channel, rows: readonly Buffer[], table: LedgerTable): void {
  const codec = new RowCodec(table);
  const names = Object.keys(table.columns).map(columnName);
  const columns = [...PLAIN_FIELDS, ...names];
  for (let taken = 0; channel.depth > 0;) {
    const batch = channel.take(AT_ONCE)!;
    for (let i = 0; i < batch.count; i++, taken++) {
      const row = batch.row(i);
      if (!row.equals(rows[taken]!)) throw new Error('a neighbour was changed');
      if (taken % LOOKED_AT_EVERY > 0) continue;
      const fault = fieldAtFault(row, columns, table);
      if (fault !== undefined) throw new Error(`the server would refuse ${fault}`);
      codec.decode(row);
    }
    channel.settle(batch);
  }
}

/** The whole path of `record()`, including the reports of invalid entries. */
function intakeOf(table: LedgerTable): { channel: Channel; intake: Intake; counters: Counters } {
  const clock = systemClock;
  const logger = { log: () => {}, warn: () => {}, error: () => {} };
  const counters = new Counters();
  const codec = new RowCodec(table);
  const keeper = new DeadLetterKeeper({
    store: { store: async (all) => void JSON.stringify(all) },
    logger,
    clock,
    timeoutMs: 1000,
  });
  const told = { clock, logger, counters };
  const losses = new LossReporter({ ...told, onLoss: undefined, isFull: () => false });
  const invalid = new InvalidReporter({ keeper, losses, clock, fields: codec.fieldNames });
  const bounds = { capacity: AT_ONCE * 2, maxBytes: 2 ** 28, maxWaiting: 0, maxWaitingBytes: 0 };
  const handoff = new Handoff(bounds, clock);
  const intake = new Intake({
    refusesKeyUuids: true,
    onUnknown: () => undefined,
    ...{ codec, handoff, counters, clock },
    onDropped: () => {},
    run: newRun(),
    onLate: () => {},
    onRefused: () => {},
    onInvalid: (fault, entry) => invalid.note(fault, entry),
  });
  return { channel: handoff.channel, intake, counters };
}

const PLAIN_FIELDS = Array.from({ length: 11 }, (_, i) => `field ${i}`);

describe('record() with hostile entries', () => {
  it.each(DEFINITIONS)(
    'queues any entry or reports it as invalid (ids $ids, columns $columns)',
    (table) => {
      const seed = Number(
        process.env['LEDGER_FUZZ_SEED'] ?? 1 + Math.floor(Math.random() * 2 ** 30),
      );
      const hostile = new HostileEntries(table, seededRandom(seed));
      const { channel, intake, counters } = intakeOf(table);
      const outcomes: Record<string, number> = { queued: 0, invalid: 0 };
      let rows: Buffer[] = [];
      for (let i = 0; i < ENTRIES / DEFINITIONS.length; i++) {
        const entry = hostile.next();
        let outcome: string;
        try {
          outcome = intake.offer(entry);
        } catch (error) {
          throw new Error(`record() threw, LEDGER_FUZZ_SEED=${seed}`, { cause: error });
        }
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        if (outcome === 'queued') rows.push(Buffer.from(channel.lastRow));
        if (rows.length < AT_ONCE) continue;
        look(channel, rows, table);
        rows = [];
      }
      look(channel, rows, table);
      expect(Object.keys(outcomes), `LEDGER_FUZZ_SEED=${seed}`).toEqual(['queued', 'invalid']);
      for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(ENTRIES / 40);
      const { offered, queued, invalid } = counters;
      expect({ offered, queued, invalid }).toEqual({ offered: queued + invalid, ...outcomes });
    },
    120_000,
  );
});
