import { checkIndexes } from './check-indexes.js';
import { checkRollup } from './check-rollup.js';
import { BUILT_IN_NAMES, columnName } from './columns.js';
import { MAX_COLUMNS } from './ledger-definition.js';

/**
 * Maximum bytes of an identifier in PostgreSQL, which truncates longer ones without an error.
 * Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
 */
export const MAX_IDENTIFIER_BYTES = 63;

/** Suffixes that form the names of a ledger's other relations and constraints. */
export const NAME_ENDINGS = {
  primaryKey: '_pkey',
  userIndex: '_user_created',
  apiKeyIndex: '_api_key_created',
  directionCheck: '_direction',
  tokensCheck: '_tokens',
  deadLetters: '_dead_letters',
  deadLettersPrimaryKey: '_dead_letters_pkey',
  deadLettersUuidIndex: '_dead_letters_uuid',
  migrations: '_migrations',
  migrationsPrimaryKey: '_migrations_pkey',
  identity: '_identity',
  identityPrimaryKey: '_identity_pkey',
  defaultPartition: '_default',
  partition: '_p20260101',
  partitionStrays: '_p20260101_strays',
  rollups: '_rollups',
  rollupSpan: '_rollup_span',
  rollupSummary: '_rollup_summary',
  rollupState: '_rollup_state',
  rollupStatePrimaryKey: '_rollup_state_pkey',
  rollupMarks: '_rollup_marks',
  rollupMarksUser: '_rollup_marks_user',
  rollupUpdate: '_rollup_update',
  rollupDelete: '_rollup_delete',
  rollupTruncate: '_rollup_truncate',
  immutable: '_immutable',
  createdBrin: '_created_brin',
  lateIndex: '_late',
} as const;

/** Bytes that a table's name may have, so that no name made from it is cut off. */
export const MAX_TABLE_BYTES =
  MAX_IDENTIFIER_BYTES - Math.max(...Object.values(NAME_ENDINGS).map((ending) => ending.length));

const OPTIONS = [
  'name',
  'schema',
  'table',
  'ids',
  'columns',
  'partition',
  'rollup',
  'immutable',
  'shared',
  'uuids',
  'indexes',
];
const PERIODS = ['day', 'month'];
const ID_TYPES = ['bigint', 'uuid', 'text'];
const COLUMN_TYPES = [
  ...['text', 'bigint', 'integer', 'numeric'],
  ...['boolean', 'uuid', 'timestamptz', 'jsonb'],
];
const NAME = /^[a-z][a-z0-9_-]{0,39}$/;
const FIELD = /^[a-z][a-zA-Z0-9]*$/;

/** Fields of an entry, and of what is read back, that are not columns of a row. */
const OTHER_FIELDS = ['idempotencyKey'];
const OTHER_COLUMNS = ['idempotency_key'];

/**
 * Columns that every PostgreSQL table has already; `ADD COLUMN` refuses their names.
 * Source: https://www.postgresql.org/docs/current/ddl-system-columns.html
 */
const SYSTEM_COLUMNS = ['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid'];

/**
 * Finds all faults of a definition's options. Takes any value, because a caller without types may
 * give one.
 *
 * @returns one sentence for each fault, naming the field and the rule; empty if there is none
 */
export function checkDefinition(options: unknown): string[] {
  if (!isPlainObject(options)) return [`options must be an object, not ${kindOf(options)}`];
  const faults = Object.keys(options)
    .filter((key) => !OPTIONS.includes(key))
    .map((key) => `${quote(key)} is not an option; there are ${OPTIONS.join(', ')}`);
  const { name, schema, table, ids, columns, partition, rollup, immutable, shared, uuids } =
    options;
  const { indexes } = options;
  if (name !== undefined && !(typeof name === 'string' && NAME.test(name))) {
    faults.push('name must be 1 to 40 of a-z, 0-9, _ and -, beginning with a letter');
  }
  if (schema !== undefined) faults.push(...checkIdentifier('schema', schema, MAX_IDENTIFIER_BYTES));
  if (table !== undefined) faults.push(...checkIdentifier('table', table, MAX_TABLE_BYTES));
  if (ids !== undefined && !ID_TYPES.includes(ids as string)) {
    faults.push(`ids must be one of ${ID_TYPES.join(', ')}`);
  }
  if (columns !== undefined) faults.push(...checkColumns(columns));
  if (partition !== undefined && !PERIODS.includes(partition as string)) {
    faults.push(`partition must be one of ${PERIODS.join(', ')}`);
  }
  for (const [option, value] of Object.entries({ immutable, shared })) {
    if (value !== undefined && typeof value !== 'boolean') {
      faults.push(`${option} must be true or false`);
    }
  }
  if (rollup !== undefined) faults.push(...checkRollup(rollup, columns));
  faults.push(...checkIndexes(indexes, columns, rollup));
  if (uuids !== undefined && uuids !== 'v7') faults.push('uuids must be v7, or left out');
  return faults;
}

function checkIdentifier(field: string, value: unknown, maxBytes: number): string[] {
  if (typeof value !== 'string') return [`${field} must be a string, not ${kindOf(value)}`];
  if (value === '') return [`${field} must not be empty`];
  const faults: string[] = [];
  if (value.includes('\0')) faults.push(`${field} must not contain U+0000`);
  // A lone surrogate would become U+FFFD on its way to the server, so two names could be one.
  if (/\p{Surrogate}/u.test(value)) faults.push(`${field} must be well-formed Unicode`);
  const bytes = Buffer.byteLength(value);
  if (bytes > maxBytes) faults.push(`${field} must have at most ${maxBytes} bytes, has ${bytes}`);
  return faults;
}

function checkColumns(columns: unknown): string[] {
  if (!isPlainObject(columns)) return [`columns must be an object, not ${kindOf(columns)}`];
  const fields = Object.keys(columns);
  const faults: string[] = [];
  if (fields.length > MAX_COLUMNS) {
    faults.push(`columns must be at most ${MAX_COLUMNS}, are ${fields.length}`);
  }
  for (const field of fields) {
    const fault = checkField(field);
    if (fault) faults.push(`columns.${quote(field)} ${fault}`);
    if (!COLUMN_TYPES.includes(columns[field] as string)) {
      faults.push(`columns.${quote(field)} must have one of the types ${COLUMN_TYPES.join(', ')}`);
    }
  }
  return faults;
}

/** The pattern has no underscore, so two fields never share a column's name. */
function checkField(field: string): string | undefined {
  if (!FIELD.test(field)) return 'must be camel case: a-z first, then letters and digits';
  const column = columnName(field);
  if (column.length > MAX_IDENTIFIER_BYTES) {
    return `must have at most ${MAX_IDENTIFIER_BYTES} bytes in snake case, has ${column.length}`;
  }
  const isBuiltIn = BUILT_IN_NAMES.some((own) => own.field === field || own.column === column);
  if (isBuiltIn || OTHER_FIELDS.includes(field) || OTHER_COLUMNS.includes(column)) {
    return 'is a field that every entry has';
  }
  if (SYSTEM_COLUMNS.includes(column)) return 'is a system column of PostgreSQL';
  // Every object has these, so an entry that leaves the field out would seem to give it.
  if (field in Object.prototype) return 'is a property that every object has';
  return undefined;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

/** Names come from code, not from users, but a very long one would hide the others. */
function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
