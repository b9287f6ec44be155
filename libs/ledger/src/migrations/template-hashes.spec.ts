import { describe, expect, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { tableExtensions } from '../ledger.extensions.js';
import { scriptTemplate, templateHash } from '../postgres/migration-script.js';
import { declaredObjects } from '../postgres/verify-stored.js';
import { TEMPLATE_HASHES } from './fixtures/template-hashes.fixture.js';
import { planMigrations } from './plan-migrations.js';

/** Requests all features, so that its plan contains every migration. */
const everything = defineLedger({
  columns: { model: 'text', region: 'text' },
  rollup: { dimensions: ['model'] },
  partition: 'month',
  immutable: true,
});
const plan = planMigrations(everything, tableExtensions);
const migrations = [...new Set(plan.map(({ migration }) => migration))];

describe('the migrations', () => {
  it('are numbered from 1 without a gap, and no number is used twice', () => {
    expect(migrations.map(({ number }) => number)).toEqual(migrations.map((_, index) => index + 1));
  });

  it('were not edited since they were listed: a change needs a new migration', () => {
    const found = migrations.map((migration) => [migration.number, templateHash(migration)]);
    expect(Object.fromEntries(found)).toEqual(TEMPLATE_HASHES);
  });

  it.each(migrations)('$number creates each function and trigger that it declares', (migration) => {
    const { functions = [], triggers = [], up } = migration;
    for (const { ending } of functions) expect(up).toContain(`{function ${ending}}`);
    for (const { ending } of triggers) expect(up).toContain(`{trigger ${ending}}`);
  });

  it('declare a trigger together with its function, whose number applies to both', () => {
    const { functions, triggers } = declaredObjects(plan);
    for (const { object, planned } of triggers) {
      const own = functions.find((each) => each.object.ending === object.ending);
      expect(own?.planned.migration.number, object.ending).toBe(planned.migration.number);
    }
  });

  it.each(migrations)('$number quotes with tags, so that no name ends a text', (migration) => {
    for (const direction of ['up', 'down'] as const) {
      expect(scriptTemplate(migration, direction)).not.toContain('$$');
    }
  });
});

it('an edited function has another hash', () => {
  const migration = migrations.find(({ functions = [] }) => functions.length > 0)!;
  const functions = migration.functions!.map((each) => ({ ...each, body: `${each.body} -- !` }));
  expect(templateHash({ ...migration, functions })).not.toBe(templateHash(migration));
});
