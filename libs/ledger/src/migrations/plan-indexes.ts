import { NAME_ENDINGS } from '../entry/check-definition.js';
import { entryIndexes } from '../entry/entry-indexes.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { indexBody } from '../postgres/make-indexes.js';
import { qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import type { PlannedMigration } from '../postgres/sql-migration.interface.js';
import { chooseIndexes } from './versions/0009-choose-indexes.js';

/** Indexes that the first migration makes for every definition. */
const MADE_FIRST: readonly string[] = [NAME_ENDINGS.userIndex, NAME_ENDINGS.apiKeyIndex];

/** Its name contains the columns, so that TypeORM's runner makes other indexes later. @internal */
export function planIndexes(definition: LedgerTable): PlannedMigration {
  const indexes = entryIndexes(definition);
  const { table } = definition;
  const values = (schema: string | undefined): Record<string, string> => {
    const on = qualify(schema, table);
    const drop = (name: string): string => `DROP INDEX IF EXISTS ${qualify(schema, name)};`;
    const create = indexes.map(
      (index) =>
        `CREATE INDEX IF NOT EXISTS ${quoteIdentifier(index.name)} ON ${on} ${indexBody(index)};`,
    );
    const left = MADE_FIRST.filter((ending) => !indexes.some((each) => each.ending === ending));
    const added = indexes.filter(({ ending }) => !MADE_FIRST.includes(ending));
    return {
      createIndexes: create.join('\n    '),
      dropIndexes: left.map((ending) => drop(table + ending)).join('\n    '),
      dropAdded: added.map(({ name }) => drop(name)).join('\n'),
    };
  };
  const action = [chooseIndexes.action, ...indexes.map(({ column }) => column)].join('+');
  return { migration: chooseIndexes, action, values };
}
