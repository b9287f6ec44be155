import { DEFAULT_TABLE, isSameDefinition } from './compare-definitions.js';
import type { LedgerTable } from './ledger-definition.js';

/** Characters that a shell needs no quotes for. */
const PLAIN = /^[\w.,:/-]+$/;
/** Stands for a path that is unknown at run time. Names of ledgers contain no `>`. */
const PLACEHOLDER = /-d <file with the definition[^>]*>/g;

/**
 * A command of this package for one ledger, as a log line or an error names it. An application does
 * not know the path of the module that exports its definition, so the command contains a placeholder
 * for it. A command that was given the path puts it in with {@link nameDefinition}.
 *
 * @param command like `rollup --rebuild`
 * @param connectionSchema the `schema` of the TypeORM options; used if the definition has none, or
 * was placed there
 * @internal
 */
export function ledgerCommand(
  command: string,
  definition: LedgerTable,
  connectionSchema?: string,
): string {
  const { name } = definition;
  // A definition that was placed in the connection's schema is still the application's definition.
  const schema = definition.schema === connectionSchema ? undefined : definition.schema;
  const isDefault = isSameDefinition({ ...definition, schema }, DEFAULT_TABLE);
  const of = name === DEFAULT_TABLE.name ? '' : ` of ${name}`;
  const place = schema === undefined ? connectionSchema : undefined;
  return [
    `npx nestjs-ledger ${command}`,
    ...(isDefault ? [] : [`-d <file with the definition${of}>`]),
    ...(place === undefined ? [] : [`--connection-schema ${quoteForShell(place)}`]),
  ].join(' ');
}

/** `migrate` for one ledger. @internal */
export function migrateCommand(definition: LedgerTable, connectionSchema?: string): string {
  return ledgerCommand('migrate', definition, connectionSchema);
}

/**
 * @param text may contain commands from {@link ledgerCommand}
 * @param given the options `-d` and `--ledger`
 * @returns the text with these options instead of placeholders; unchanged without `-d`
 * @internal
 */
export function nameDefinition(
  text: string,
  given: { readonly definition?: string; readonly ledger?: string },
): string {
  const { definition, ledger } = given;
  if (definition === undefined) return text;
  const which = ledger === undefined ? '' : ` --ledger ${quoteForShell(ledger)}`;
  // As a function: a path may contain `$&`.
  return text.replaceAll(PLACEHOLDER, () => `-d ${quoteForShell(definition)}${which}`);
}

/** @returns the name, quoted for a shell if necessary @internal */
export function quoteForShell(name: string): string {
  return PLAIN.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}
