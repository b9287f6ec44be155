import type { PostgresOptions } from './open.js';
import { isLimit, LIMIT_RULE, misusedOptions, SESSION_LIMITS } from './option-values.js';
import { parseAddress } from './parse-address.js';
import { startupSettings } from './startup-settings.js';

/** An option that no ledger can write with, and what to do about it. @internal */
export interface RefusedOption {
  /** As the options spell it. */
  readonly name: string;
  readonly value: unknown;
  readonly rule: string;
  /** The value may be a secret. */
  readonly isSecret: boolean;
}

interface RefusingRule {
  readonly name: string;
  readonly of: (options: PostgresOptions) => unknown;
  readonly rule: string;
}

const OWN_POOL = 'leave it out, or give the ledger a `connection` of its own without it';

/**
 * With these the ledger would be halted or try for ever. Source: pg 8.23, client.js, which takes no
 * Submittable in pipeline mode; PostgreSQL's manual, Streaming Replication Protocol, which has no extended
 * queries.
 */
const IN_ANY_POOL: readonly RefusingRule[] = [
  {
    name: 'extra.pipeline',
    of: ({ extra }) => (extra as { pipeline?: unknown } | undefined)?.pipeline,
    rule: `must be off: a client of pg in pipeline mode takes no COPY; ${OWN_POOL}`,
  },
  {
    name: 'extra.replication',
    of: ({ extra }) => (extra as { replication?: unknown } | undefined)?.replication,
    rule: `must be off: a replication connection takes no parameters and no rows; ${OWN_POOL}`,
  },
  {
    name: "url's parameter replication",
    of: (options) => parameterOf(options, 'replication'),
    rule: 'must be off: a replication connection takes no parameters and no rows',
  },
];

/**
 * What TypeORM would do by itself whenever the ledger's own connection is made. The application's DataSource
 * is initialised by the application.
 */
const IN_OWN_POOL: readonly RefusingRule[] = [
  {
    name: 'dropSchema',
    of: ({ dropSchema }) => dropSchema,
    rule: 'must be off: TypeORM would drop all tables of the schema at each start, the entries too',
  },
  {
    name: 'synchronize',
    of: ({ synchronize }) => synchronize,
    rule: "must be off: TypeORM would change the application's tables from here too; leave it to the application's DataSource",
  },
  {
    name: 'migrationsRun',
    of: ({ migrationsRun }) => migrationsRun,
    rule: "must be off: the application's migrations would run twice at once; the ledger's own are run by `migrations: 'run'`",
  },
  {
    name: 'cache',
    of: ({ cache }) => cache,
    rule: 'must be left out: the ledger caches no reads, and TypeORM would make a table for it',
  },
];

/**
 * Settings of the session with which every batch fails, or rollups miss entries. Source: trials with
 * PostgreSQL 18; exit_on_error ends the session at the first row that is there already.
 */
const SETTINGS = new Map<string, readonly [isTaken: (value: string) => boolean, rule: string]>([
  ['default_transaction_read_only', [isOff, 'must be off: the ledger writes']],
  [
    'exit_on_error',
    [isOff, 'must be off: the first duplicate would end the connection, again and again'],
  ],
  [
    'session_replication_role',
    [
      (value) => value === 'origin',
      'must be origin: triggers would not run, and rollups would miss changes',
    ],
  ],
]);

/**
 * Options of `pg` or TypeORM that a ledger cannot work with, so that the boot refuses them by name.
 *
 * @param isOwn whether they are of a connection that the ledger makes
 * @internal
 */
export function refusedOptions(options: PostgresOptions, isOwn: boolean): RefusedOption[] {
  const misused = misusedOptions(options);
  if (misused.length > 0) return misused;
  const refused = [...IN_ANY_POOL, ...(isOwn ? IN_OWN_POOL : [])].flatMap(({ name, of, rule }) => {
    const value = of(options);
    return isOff(value) ? [] : [{ name, value, rule, isSecret: false }];
  });
  return [...refused, ...refusedLimits(options), ...refusedSettings(options)];
}

/** Limits in the address; those beside it are checked like other options. */
function refusedLimits(options: PostgresOptions): RefusedOption[] {
  return SESSION_LIMITS.flatMap((name) => {
    const value = parameterOf(options, name);
    if (isLimit(value)) return [];
    return [{ name: `url's parameter ${name}`, value, rule: LIMIT_RULE, isSecret: false }];
  });
}

/** Those of `options=-c …`, beside the address or in it. */
function refusedSettings(options: PostgresOptions): RefusedOption[] {
  const beside = (options.extra as { options?: string } | null | undefined)?.options;
  const inUrl = parameterOf(options, 'options');
  const places = [
    ['extra.options', beside],
    ["url's parameter options", inUrl],
  ] as const;
  return places.flatMap(([place, text]) =>
    startupSettings(text ?? '').flatMap(([setting, value]) => {
      const found = SETTINGS.get(setting);
      if (found === undefined || found[0](value)) return [];
      return [{ name: `${place}: ${setting}`, value, rule: found[1], isSecret: false }];
    }),
  );
}

/** Of the address that is in force. */
function parameterOf(options: PostgresOptions, name: string): string | undefined {
  const { url, replication } = options;
  const extra = options.extra as { connectionString?: string } | null | undefined;
  const connectionString = extra?.connectionString;
  const address = connectionString ?? (replication ? replication.master.url : url);
  if (!address) return undefined;
  try {
    return parseAddress(address).parameters.get(name);
  } catch {
    // pg says what is wrong with it.
    return undefined;
  }
}

/** How a setting or an address says false. Source: parse_bool in PostgreSQL's bool.c, which takes beginnings. */
const OFF = /^(?:f|fa|fal|fals|false|n|no|of|off|0)$/i;

/** An address gives text. */
function isOff(value: unknown): boolean {
  return !value || (typeof value === 'string' && OFF.test(value));
}
