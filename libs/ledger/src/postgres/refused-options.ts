import type { PostgresOptions } from './open.js';
import { isLimit, LIMIT_RULE, misusedOptions, SESSION_LIMITS } from './option-values.js';
import { parseAddress } from './parse-address.js';
import { startupSettings } from './startup-settings.js';

/** An option with which no ledger can write, and the remedy. @internal */
export interface RefusedOption {
  /** Spelled as in the options. */
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
 * With these the ledger would be halted or retry forever. Source: pg 8.23, client.js, which accepts
 * no Submittable in pipeline mode; PostgreSQL's manual, Streaming Replication Protocol, which has
 * no extended queries.
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
 * Actions that TypeORM would take whenever the ledger's own connection is made. The application
 * itself initialises its own DataSource.
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
 * Settings of the session with which every batch fails, or rollups miss entries. Source: trials
 * with PostgreSQL 18; exit_on_error ends the session at the first existing row.
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
 * Options of `pg` or TypeORM with which a ledger cannot work; the boot refuses them by name.
 *
 * @param isOwn whether they belong to a connection that the ledger makes
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

/** Limits in the address; others are checked like all options. */
function refusedLimits(options: PostgresOptions): RefusedOption[] {
  return SESSION_LIMITS.flatMap((name) => {
    const value = parameterOf(options, name);
    if (isLimit(value)) return [];
    return [{ name: `url's parameter ${name}`, value, rule: LIMIT_RULE, isSecret: false }];
  });
}

/** Settings of `options=-c …`, in the address or next to it. */
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

/** A parameter of the effective address. */
function parameterOf(options: PostgresOptions, name: string): string | undefined {
  const { url, replication } = options;
  const extra = options.extra as { connectionString?: string } | null | undefined;
  const connectionString = extra?.connectionString;
  const address = connectionString ?? (replication ? replication.master.url : url);
  if (!address) return undefined;
  try {
    return parseAddress(address).parameters.get(name);
  } catch {
    // pg reports the fault.
    return undefined;
  }
}

/**
 * Spellings of false in a setting or an address. Source: parse_bool in PostgreSQL's bool.c, which
 * accepts prefixes.
 */
const OFF = /^(?:f|fa|fal|fals|false|n|no|of|off|0)$/i;

/** Values from an address are text. */
function isOff(value: unknown): boolean {
  return !value || (typeof value === 'string' && OFF.test(value));
}
