import type { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { QueryFunction } from './load-catalog.js';
import type { TableFault } from './table-fault.interface.js';

/** Suffix of a table's name that forms the name of a function, a trigger or another relation. */
export type NameEnding = keyof typeof NAME_ENDINGS;

/**
 * A stored function on the server. Its body begins with a comment with the number of the migration
 * that made it; the framework writes that line.
 *
 * `{schema}` in head and body is the schema of the ledger's table. The server fills it in when the
 * migration runs, so that no caller's search path affects it later.
 *
 * @internal
 */
export interface StoredFunction {
  /** Suffix of its name. */
  readonly ending: NameEnding;
  /**
   * All text between name and body except the search path: `() RETURNS trigger LANGUAGE plpgsql`.
   */
  readonly head: string;
  readonly body: string;
  /** Effect while it is missing or foreign: `summary() adds up all rows`. */
  readonly effect: string;
}

/**
 * A statement-level trigger on the table and on each of its partitions, because a statement that
 * names a partition fires none of the table's. It has the name of its function. The same migration
 * declares both, so the number in the body applies to both.
 *
 * @internal
 */
export interface StoredTrigger {
  readonly ending: NameEnding;
  readonly timing: 'BEFORE' | 'AFTER';
  readonly events: readonly TriggerEvent[];
  /** Names of the transition tables, if its function reads any. */
  readonly oldTable?: string;
  readonly newTable?: string;
  /** Effect while it is missing or wrong. */
  readonly effect: string;
}

/** @internal */
export type TriggerEvent = 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE';

/**
 * One step of a ledger's tables, as plain data. Once released it is never edited: a correction is a
 * new migration with the next number.
 *
 * `up` and `down` are scripts: templates of several statements (`fillTemplate`), sent to the server
 * as one simple query. They may run again on a database that already has their objects. Their words
 * are those of `templateValues`, and those that the plan adds. A script can also use `{function
 * <ending>}` and `{trigger <ending>}`, each for one of its own `functions` and `triggers`.
 *
 * @internal
 */
export interface SqlMigration {
  /** Counts from 1 over all folders. TypeORM orders migrations by a timestamp derived from it. */
  readonly number: number;
  /** Its action, in snake case; part of its name. */
  readonly action: string;
  readonly up: string;
  readonly down: string;
  readonly functions?: readonly StoredFunction[];
  readonly triggers?: readonly StoredTrigger[];
  /** Functions and triggers of earlier migrations that this one drops. */
  readonly drops?: readonly NameEnding[];
}

/** A migration as planned for one definition. @internal */
export interface PlannedMigration {
  readonly migration: SqlMigration;
  /** Replaces the migration's action, if the same migration runs several times. */
  readonly action?: string;
  /**
   * Additional words of its templates. @param schema the effective one; undefined: the search path
   * decides
   */
  readonly values?: (schema: string | undefined) => Readonly<Record<string, string>>;
  /** True if entries can't be written without it. Default: they can. */
  readonly isNeeded?: boolean;
  /**
   * Returns true if the database has more than this migration would make, so that it must not run.
   */
  readonly isSurpassed?: (query: QueryFunction, schema: string | undefined) => Promise<boolean>;
}

/**
 * Additions of an optional folder to a ledger's tables. The wiring passes a list of them to the
 * definition, to the runner of migrations and to the verification.
 *
 * @internal
 */
export interface TableExtension {
  /** The migrations that a definition needs from it, in order; empty if it does not use it. */
  plan(definition: LedgerTable): readonly PlannedMigration[];
  /**
   * The definition required by the database, if it has more than the given one requests. Planning
   * and verification then use the returned one.
   */
  adopt?(query: QueryFunction, definition: LedgerTable): Promise<LedgerTable>;
  /**
   * Compares the database with the definition. Called only if the table itself matches.
   *
   * @param definition with its effective schema
   */
  verify(
    query: QueryFunction,
    definition: LedgerTable,
    connectionSchema?: string,
  ): Promise<readonly TableFault[]>;
}
