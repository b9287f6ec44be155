import { describe, expect, expectTypeOf, it } from 'vitest';
import { defaultLedger, defineLedger } from './define-ledger.js';
import type { LedgerDefinition } from './define-ledger.js';
import { isSameDefinition } from './entry/compare-definitions.js';
import { MAX_TABLE_BYTES } from './entry/check-definition.js';
import type { StoredEntry, UsageEntry } from './entry/usage-entry.interface.js';
import { isLedgerError } from './errors/is-ledger-error.js';

const usage = defineLedger({
  name: 'usage',
  schema: 'metering',
  table: 'usage_entries',
  ids: 'text',
  columns: { tenantId: 'uuid', model: 'text', costNanos: 'bigint', until: 'timestamptz' },
  rollup: true,
});

/** Faults of options that no type would allow. */
function faultsOf(options: unknown): readonly string[] {
  try {
    defineLedger(options as object);
  } catch (error) {
    if (isLedgerError(error, 'LEDGER_DEFINITION')) return error.faults;
    throw error;
  }
  return [];
}

describe('defineLedger', () => {
  it('gives defaults for everything', () => {
    expect(defaultLedger).toMatchObject({ name: 'default', table: 'usage_entries', ids: 'bigint' });
    expect(defaultLedger.schema).toBeUndefined();
    expect(defaultLedger.columns).toEqual({});
  });

  it('types entries by the ids and columns it was given', () => {
    expectTypeOf(usage.ids).toEqualTypeOf<'text'>();
    expectTypeOf<UsageEntry<typeof usage>['userId']>().toEqualTypeOf<string>();
    expectTypeOf<UsageEntry<typeof usage>['until']>().toEqualTypeOf<Date | null | undefined>();
    expectTypeOf<StoredEntry<typeof usage>['costNanos']>().toEqualTypeOf<string | null>();
    expectTypeOf<UsageEntry<typeof defaultLedger>['userId']>().toEqualTypeOf<
      number | bigint | string
    >();
    expectTypeOf(usage).toExtend<LedgerDefinition>();
    expectTypeOf(defaultLedger).toExtend<LedgerDefinition>();
  });

  it('types rows of the entity by the ids and columns too', () => {
    type Row = typeof usage.entity extends { options: { columns: infer C } } ? keyof C : never;
    expectTypeOf<'tenantId' | 'writtenAt'>().toExtend<Row>();
  });

  it('types indexes by the columns it was given', () => {
    defineLedger({ columns: { tenantId: 'uuid' }, indexes: ['userId', 'tenantId'] });
    // @ts-expect-error: no such column
    expect(() => defineLedger({ columns: { tenantId: 'uuid' }, indexes: ['tenant'] })).toThrow();
    // @ts-expect-error: an index of the memo would refuse long ones
    expect(() => defineLedger({ indexes: ['memo'] })).toThrow();
    // @ts-expect-error: no such column
    expect(() => defineLedger({ rollup: { dimensions: ['model'] } })).toThrow();
  });

  it('tells definitions of other indexes apart', () => {
    const none = defineLedger({ indexes: [] });
    expect(isSameDefinition(none, defineLedger({ indexes: [] }))).toBe(true);
    expect(isSameDefinition(none, defineLedger())).toBe(false);
    expect(Object.isFrozen(none.indexes)).toBe(true);
  });

  it('freezes the definition, its columns and its migrations', () => {
    expect(Object.isFrozen(usage)).toBe(true);
    expect(Object.isFrozen(usage.columns)).toBe(true);
    expect(Object.isFrozen(usage.migrations)).toBe(true);
  });

  it('does not freeze or share the columns of the caller', () => {
    const columns: Record<string, 'text'> = { model: 'text' };
    const ledger = defineLedger({ columns });
    columns['other'] = 'text';
    expect(Object.keys(ledger.columns)).toEqual(['model']);
  });

  it('makes one migration for the table, dead letters, each column, the id and the indexes, and two for rollups', () => {
    expect(usage.migrations.map((Migration) => new Migration().name)).toEqual([
      'metering.usage_entries:create_entries:1767225600000',
      'metering.usage_entries:create_dead_letters:1767225600001',
      'metering.usage_entries:add_tenant_id:1767225600002',
      'metering.usage_entries:add_model:1767225600002',
      'metering.usage_entries:add_cost_nanos:1767225600002',
      'metering.usage_entries:add_until:1767225600002',
      'metering.usage_entries:create_rollups:1767225600003',
      'metering.usage_entries:guard_rollups:1767225600006',
      'metering.usage_entries:create_identity:1767225600007',
      'metering.usage_entries:choose_indexes+user_id+api_key_id:1767225600008',
    ]);
  });

  it('never gives two ledgers migrations of one name', () => {
    const ledgers = [
      defineLedger({ schema: 'a', table: 'b.c' }),
      defineLedger({ schema: 'a.b', table: 'c' }),
      defineLedger({ table: 'a.b.c' }),
      defineLedger({ schema: '"a"', table: 'b"."c' }),
    ];
    const names = ledgers.flatMap(({ migrations }) => migrations.map((M) => new M().name));
    expect(new Set(names).size).toBe(names.length);
  });

  it('keeps the name of a migration when columns are declared in another order', () => {
    const names = (columns: Record<string, 'text'>): string[] =>
      defineLedger({ columns }).migrations.map((Migration) => new Migration().name);
    expect(names({ b: 'text', a: 'text' }).toSorted()).toEqual(
      names({ a: 'text', b: 'text' }).toSorted(),
    );
  });
});

describe('the check of a definition', () => {
  it('tells all faults at once', () => {
    const faults = faultsOf({
      name: 'Usage',
      schema: '',
      table: 'x'.repeat(MAX_TABLE_BYTES + 1),
      ids: 'integer',
      columns: { costNanos: 'money', 'cost-nanos': 'text' },
      colums: {},
    });
    expect(faults).toHaveLength(7);
    for (const word of ['"colums"', 'name', 'schema', 'table', 'ids', 'costNanos', 'cost-nanos']) {
      expect(faults.filter((fault) => fault.includes(word))).not.toHaveLength(0);
    }
  });

  it.each([
    ['a', true],
    ['a'.repeat(40), true],
    ['usage-2_b', true],
    ['', false],
    ['a'.repeat(41), false],
    ['2usage', false],
    ['usage.b', false],
    ['usage\n', false],
    [7, false],
    [null, false],
  ])('says whether %j can be a name', (name, isGood) => {
    expect(faultsOf({ name })).toHaveLength(isGood ? 0 : 1);
  });

  it.each([
    ['my "odd" table; --', true],
    ['.', true],
    ['ä'.repeat(22), true],
    ['ä'.repeat(23), false],
    ['', false],
    ['a\0b', false],
    ['\ud800', false],
    [null, false],
  ])('says whether %j can be a table', (table, isGood) => {
    expect(faultsOf({ table })).toHaveLength(isGood ? 0 : 1);
  });

  it('lets a schema have the 63 bytes of any identifier', () => {
    expect(faultsOf({ schema: 's'.repeat(63) })).toEqual([]);
    expect(faultsOf({ schema: 's'.repeat(64) })).toHaveLength(1);
  });

  it.each([
    'userId',
    'uuid',
    'createdAt',
    'writtenAt',
    'idempotencyKey',
    'xmin',
    'tableoid',
    'constructor',
    'toString',
    '__proto__x',
    'cost_nanos',
    'CostNanos',
    '1st',
    'a b',
    'é',
    'x'.repeat(64),
  ])('refuses %s as a column', (field) => {
    expect(faultsOf({ columns: { [field]: 'text' } })).toHaveLength(1);
  });

  it('takes words that SQL keeps for itself as columns, since they are quoted', () => {
    expect(faultsOf({ columns: { order: 'text', user: 'bigint', select: 'jsonb' } })).toEqual([]);
  });

  it('takes 16 columns and no more', () => {
    const columns = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, 'text']));
    expect(faultsOf({ columns: columns(16) })).toEqual([]);
    expect(faultsOf({ columns: columns(17) })).toHaveLength(1);
  });

  it.each([
    [{ rollup: {} }, 0],
    [{ rollup: false, partition: 'month' }, 0],
    [{ rollup: {}, partition: 'month' }, 0],
    [{ partition: 'week' }, 1],
    [{ rollup: { dimensions: ['model'] }, columns: { model: 'text' } }, 0],
    [{ rollup: { dimensions: ['model'] } }, 1],
    [{ rollup: { dimensions: ['cost'] }, columns: { cost: 'numeric' } }, 1],
    [{ rollup: { dimensions: ['slice'] }, columns: { slice: 'text' } }, 1],
    [{ rollup: { dimensions: ['vFrom', 'to'] }, columns: { vFrom: 'text', to: 'text' } }, 2],
    [{ columns: { slice: 'text' } }, 0],
    [{ rollup: true }, 0],
    [{ rollup: 1 }, 1],
    [{ indexes: [] }, 0],
    [{ indexes: ['userId', 'apiKeyId', 'serviceId'] }, 0],
    [{ indexes: ['tenantId'], columns: { tenantId: 'uuid' } }, 0],
    [{ indexes: ['tenantId'] }, 1],
    [{ indexes: ['user_id'] }, 1],
    [{ indexes: ['memo'] }, 1],
    [{ indexes: ['toString'] }, 1],
    // Values of 8 KiB are more than an index row holds, and the server would refuse the entry.
    [{ indexes: ['model'], columns: { model: 'text' } }, 1],
    [{ indexes: ['cost'], columns: { cost: 'numeric' } }, 1],
    [{ indexes: ['userId', 'userId'] }, 1],
    [{ indexes: 'userId' }, 1],
    [{ indexes: null }, 1],
    [{ indexes: ['apiKeyId'], rollup: true }, 1],
    [{ indexes: ['apiKeyId'], rollup: false }, 0],
    [{ indexes: ['userId'], rollup: true }, 0],
  ])('finds in %j so many faults: %i', (options, count) => {
    expect(faultsOf(options)).toHaveLength(count);
  });

  it('makes rollups if they are asked for, also beside partitions', () => {
    const names = (definition: { migrations: (new () => { name: string })[] }): string[] =>
      definition.migrations.map((Migration) => new Migration().name.split(/[+:]/)[1]!);
    const tables = ['create_entries', 'create_dead_letters'];
    const end = ['create_identity', 'choose_indexes'];
    const plain = [...tables, ...end];
    const rollups = [...tables, 'create_rollups', 'guard_rollups', ...end];
    expect(names(defineLedger())).toEqual(plain);
    expect(names(defineLedger({ rollup: true }))).toEqual(rollups);
    expect(names(defineLedger({ rollup: {}, partition: 'day' }))).toEqual(rollups);
    expect(names(defineLedger({ rollup: false }))).toEqual(plain);
    expect([defineLedger().rollup, defineLedger({ rollup: true }).rollup]).toEqual([false, []]);
  });

  it.each([[null], ['text'], [[]], [7]])('refuses %j instead of an object', (value) => {
    expect(faultsOf({ columns: value })).toHaveLength(1);
    expect(faultsOf(value)).toHaveLength(1);
  });
});
