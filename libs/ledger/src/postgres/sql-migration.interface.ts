import type { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { QueryFunction } from './load-catalog.js';
import type { TableFault } from './table-fault.interface.js';

/** Ending of a table's name that makes the name of a function, a trigger or another relation. */
export type NameEnding = keyof typeof NAME_ENDINGS;

/**
 * A function that the server stores. Its body begins with a comment that holds the number of the
 * migration that made it; the framework writes that line.
 *
 * `{schema}` in head and body stands for the schema of the ledger's table. The server fills it in when
 * the migration runs, so that no caller's search path decides it later.
 *
 * @internal
 */
export interface StoredFunction {
  /** Of its name. */
  readonly ending: NameEnding;
  /** All between name and body but the search path: `() RETURNS trigger LANGUAGE plpgsql`. */
  readonly head: string;
  readonly body: string;
  /** What happens while it is missing or foreign: `summary() adds up all rows`. */
  readonly effect: string;
}

/**
 * A statement-level trigger on the table and on each of its partitions, since a statement that names
 * a partition fires none of the table's. It has the name of its function, and the same migration declares
 * both, so that the number in the body stands for both.
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
  /** What happens while it is missing or wrong. */
  readonly effect: string;
}

/** @internal */
export type TriggerEvent = 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE';

/**
 * One step of a ledger's tables, as plain data. Once released it is never edited: a correction is a
 * new migration with the next number.
 *
 * `up` and `down` are scripts: templates of several statements (`fillTemplate`), which the server gets
 * as one simple query. They may run again on a database that has what they make. The words are those of
 * `templateValues`, and those that the plan adds. A script also knows `{function <ending>}` and
 * `{trigger <ending>}`, each for one of its own `functions` and `triggers`.
 *
 * @internal
 */
export interface SqlMigration {
  /** Counts from 1 over all folders. TypeORM orders migrations by a timestamp that is made from it. */
  readonly number: number;
  /** What it does, in snake case; part of its name. */
  readonly action: string;
  readonly up: string;
  readonly down: string;
  readonly functions?: readonly StoredFunction[];
  readonly triggers?: readonly StoredTrigger[];
  /** Functions and triggers of earlier migrations that this one drops. */
  readonly drops?: readonly NameEnding[];
}

/** A migration as one definition needs it. @internal */
export interface PlannedMigration {
  readonly migration: SqlMigration;
  /** In place of the migration's, where the same migration runs several times. */
  readonly action?: string;
  /** More words of its templates. @param schema that counts; undefined: the search path decides */
  readonly values?: (schema: string | undefined) => Readonly<Record<string, string>>;
  /** True: entries can't be written without it. Default: they can. */
  readonly isNeeded?: boolean;
  /** Answers true if the database has more than this would make, so that it must not run. */
  readonly isSurpassed?: (query: QueryFunction, schema: string | undefined) => Promise<boolean>;
}

/**
 * What an optional folder adds to the tables of a ledger. The wiring passes a list of them to the
 * definition, to the runner of migrations and to the verification.
 *
 * @internal
 */
export interface TableExtension {
  /** The migrations that a definition needs of it, in order; empty if it does not ask for it. */
  plan(definition: LedgerTable): readonly PlannedMigration[];
  /**
   * The definition that the database calls for, if it has more than the given one asks for. Planning
   * and verification then go by the answer.
   */
  adopt?(query: QueryFunction, definition: LedgerTable): Promise<LedgerTable>;
  /**
   * Compares the database with the definition. Called only if the table itself is as defined.
   *
   * @param definition with the schema that counts
   */
  verify(
    query: QueryFunction,
    definition: LedgerTable,
    connectionSchema?: string,
  ): Promise<readonly TableFault[]>;
}
