import type { PostgresOptions } from './open.js';
import { parseAddress } from './parse-address.js';

/** An option that no ledger can write with, and what to do about it. @internal */
export interface RefusedOption {
  /** As the options spell it. */
  readonly name: string;
  readonly value: string;
  readonly rule: string;
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
    of: ({ url, replication }) => parameterOf(replication?.master.url ?? url, 'replication'),
    rule: 'must be off: a replication connection takes no parameters and no rows',
  },
];

/** What would harm the ledger's own tables. The application's DataSource is initialised by itself. */
const IN_OWN_POOL: readonly RefusingRule[] = [
  {
    name: 'dropSchema',
    of: ({ dropSchema }) => dropSchema,
    rule: 'must be off: TypeORM would drop all tables of the schema at each start, the entries too',
  },
];

/**
 * Options of `pg` or TypeORM that a ledger cannot work with, so that the boot refuses them by name.
 *
 * @param isOwn whether they are of a connection that the ledger makes
 * @internal
 */
export function refusedOptions(options: PostgresOptions, isOwn: boolean): RefusedOption[] {
  return [...IN_ANY_POOL, ...(isOwn ? IN_OWN_POOL : [])].flatMap(({ name, of, rule }) => {
    const value = of(options);
    return isOff(value) ? [] : [{ name, value: String(value), rule }];
  });
}

function parameterOf(url: string | undefined, name: string): string | undefined {
  if (!url) return undefined;
  try {
    return parseAddress(url).parameters.get(name);
  } catch {
    // pg says what is wrong with it.
    return undefined;
  }
}

/** How an address says false. Source: PostgreSQL's manual, boolean values of settings. */
const OFF: readonly string[] = ['false', 'off', 'no', '0'];

/** An address gives text. */
function isOff(value: unknown): boolean {
  return !value || (typeof value === 'string' && OFF.includes(value));
}
