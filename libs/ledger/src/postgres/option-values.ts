import type { RefusedOption } from './refused-options.js';
import type { PostgresOptions } from './open.js';

/** Allowed values of an option; TypeORM and `pg` check none. */
interface ValueRule {
  /** Spelled as in the options; names after `extra.` are for `pg`. */
  readonly names: readonly string[];
  readonly takes: (value: unknown) => boolean;
  readonly rule: string;
  /** The value may be a secret. */
  readonly isSecret?: true;
}

/** Longest timer of Node.js, and longest limit of PostgreSQL, in milliseconds. */
const LONGEST_MS = 2_147_483_647;

/** Limits that `pg` sends to the server or measures itself, in milliseconds. @internal */
export const SESSION_LIMITS = [
  'query_timeout',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
] as const;

/** @internal */
export const LIMIT_RULE =
  'must be a whole number of milliseconds from 0 to 2,147,483,647 without a unit: of "5s" pg takes the 5';

/**
 * Each rule comes from a trial with a ledger. A limit that is not a number ends every query after a
 * millisecond. A pool below one waits forever, and a pool of NaN has no workers. A hook that is not
 * a function keeps the pool's first connection forever. All of these look like an unreachable
 * database.
 */
const RULES: readonly ValueRule[] = [
  {
    names: ['extra'],
    takes: (value) => isAbsent(value) || typeof value === 'object',
    rule: "must be an object with options of pg's pool",
  },
  {
    names: ['poolSize', 'extra.max', 'extra.poolSize'],
    takes: (value) => isAbsent(value) || isWhole(value, 1, Number.MAX_SAFE_INTEGER),
    rule: 'must be a whole number of connections from 1, or left out',
  },
  {
    names: [
      'connectTimeoutMS',
      'extra.connectionTimeoutMillis',
      ...SESSION_LIMITS.map((name) => `extra.${name}`),
    ],
    takes: isLimit,
    rule: LIMIT_RULE,
  },
  {
    names: ['port', 'extra.port'],
    takes: (value) => isAbsent(value) || isWhole(value, 1, 65_535),
    rule: 'must be a whole number from 1 to 65,535, or left out',
  },
  {
    names: [
      ...['host', 'username', 'database', 'schema', 'applicationName'],
      ...[
        'host',
        'user',
        'database',
        'application_name',
        'fallback_application_name',
        'options',
      ].map((name) => `extra.${name}`),
    ],
    takes: (value) => isAbsent(value) || (typeof value === 'string' && !value.includes('\0')),
    rule: 'must be text without a NUL, which ends it on the way to the server',
  },
  {
    names: ['password', 'extra.password'],
    takes: (value) => isAbsent(value) || typeof value === 'string' || typeof value === 'function',
    rule: 'must be text, or a function that returns it',
    isSecret: true,
  },
  {
    names: ['poolErrorHandler', 'extra.verify', 'extra.onConnect', 'extra.log', 'extra.Client'],
    takes: isFunction,
    rule: 'must be a function, or left out',
  },
  {
    names: ['extra.stream'],
    takes: isFunction,
    rule: 'must be a function that makes a socket for each connection, or left out',
  },
  {
    names: ['extra.connection'],
    takes: isAbsent,
    rule: 'must be left out: all clients of the pool would share one connection',
  },
  {
    names: ['extra.types'],
    takes: (value) => isAbsent(value) || hasFunction(value, 'getTypeParser'),
    rule: 'must be an object with a function getTypeParser, or left out',
  },
  {
    names: ['extra.sslnegotiation'],
    takes: (value) => isAbsent(value) || value === 'postgres' || value === 'direct',
    rule: 'must be postgres or direct',
  },
  {
    names: ['driver'],
    takes: (value) => isAbsent(value) || hasFunction(value, 'Pool'),
    rule: 'must be the module pg, or left out',
  },
  {
    names: ['replication'],
    takes: (value) => isAbsent(value) || isReplication(value),
    rule: 'must be an object with `master` and a list `slaves`; the ledger uses the master alone',
  },
];

/** Options with values that neither TypeORM nor `pg` can use. @internal */
export function misusedOptions(options: PostgresOptions): RefusedOption[] {
  return RULES.flatMap(({ names, takes, rule, isSecret }) =>
    names.flatMap((name) => {
      const value = valueOf(options, name);
      return takes(value) ? [] : [{ name, value, rule, isSecret: isSecret ?? false }];
    }),
  );
}

/** Whether `pg` and the server accept the value as a time limit. @internal */
export function isLimit(value: unknown): boolean {
  return isAbsent(value) || isWhole(value, 1, LONGEST_MS);
}

/** As in `pg`: falsy values count as not given, but NaN is a mistake. */
function isAbsent(value: unknown): boolean {
  return !value && !Number.isNaN(value);
}

/** A number, or its digits, as in an environment variable. */
function isWhole(value: unknown, least: number, most: number): boolean {
  const isDigits = typeof value === 'string' && /^ *\d+ *$/.test(value);
  const number = isDigits ? Number(value) : value;
  if (isDigits && number === 0) return true;
  return Number.isInteger(number) && (number as number) >= least && (number as number) <= most;
}

function isFunction(value: unknown): boolean {
  return isAbsent(value) || typeof value === 'function';
}

function hasFunction(value: unknown, name: string): boolean {
  return typeof (value as Readonly<Record<string, unknown>>)[name] === 'function';
}

function isReplication(value: unknown): boolean {
  const { master, slaves } = value as { master?: unknown; slaves?: unknown };
  return typeof master === 'object' && master !== null && Array.isArray(slaves);
}

function valueOf(options: object, name: string): unknown {
  return name
    .split('.')
    .reduce<unknown>(
      (at, part) => (at as Readonly<Record<string, unknown>> | null)?.[part],
      options,
    );
}
