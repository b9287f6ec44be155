import { existsSync, readFileSync } from 'node:fs';
import { LedgerOptionsError } from '../errors/ledger-options.error.js';
import { brokenUrlRule } from './broken-url-rule.js';
import { originOf } from './config-origin.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { NOT_SHOWN } from './show-value.js';

/**
 * Adds the database of `DATABASE_URL` to the options if nothing else names one. The application's
 * own DataSource takes precedence, because the variable often belongs to it.
 *
 * @param hasDataSource whether the application provides a default DataSource
 * @throws LedgerOptionsError if it would be used and is not an address of PostgreSQL
 * @internal
 */
export function withFallbackDatabase(
  options: LedgerOptions,
  hasDataSource: boolean,
): LedgerOptions {
  const common = originOf(options)?.commonDatabase;
  const { connection, dataSource, sink, role } = options;
  const isNamed =
    role === 'gateway' || [connection, dataSource, sink].some((each) => each !== undefined);
  if (common === undefined || isNamed || hasDataSource) return options;
  const { name, url } = common;
  const rule = brokenUrlRule(url);
  if (rule === undefined) return { ...options, connection: { url } };
  const hint = 'it is asked last; give the ledger one of its own in LEDGER_DATABASE_URL';
  throw new LedgerOptionsError([
    { name, value: NOT_SHOWN, rule: `${rule} (${hint})`, source: 'environment' },
  ]);
}

/** A line of an `.env` file that names a database, with or without quotes and `export`. */
const NAMES_DATABASE = /^\s*(?:export\s+)?((?:LEDGER_(?:\w+_)?)?DATABASE_URL)\s*=\s*\S/m;

/**
 * Instructions for a ledger without a database. If an `.env` file names one, the text begins with
 * the fact that the file was not loaded.
 *
 * @param folder that the process was started in
 * @internal
 */
export function noDatabaseRule(folder: string): string {
  const inFile = variableInEnvFile(`${folder}/.env`);
  const isLoaded = inFile !== undefined && Boolean(process.env[inFile]);
  const trap =
    inFile === undefined || isLoaded
      ? ''
      : `the file .env has ${inFile}, but nothing loaded it: import ConfigModule.forRoot() in the module ` +
        'that imports the ledger. Or ';
  return (
    `no database: ${trap}set LEDGER_DATABASE_URL or DATABASE_URL, which createLedgerConfig() and ` +
    '`ledgerConfig` read (forRoot and useFactory read no environment), or give `connection` or ' +
    "`dataSource`, or import TypeOrmModule so that the application's default DataSource can be found"
  );
}

function variableInEnvFile(path: string): string | undefined {
  try {
    return existsSync(path) ? NAMES_DATABASE.exec(readFileSync(path, 'utf8'))?.[1] : undefined;
  } catch {
    return undefined;
  }
}
