import type { ServerPlace } from './address-hosts.js';
import { describeHosts, shown, targetOf, type DatabaseTarget } from './describe-target.js';
import type { PostgresOptions } from './open.js';

/**
 * A failed connection: the answer of server, pooler or network, and the target. `readPgError` makes
 * the message.
 *
 * @internal
 */
export class ConnectError extends Error {
  readonly target: DatabaseTarget;

  /**
   * @param reason the error of `pg`, TypeORM or Node; it may contain more than a message may show
   * @param place the server concerned, if the options name several
   */
  constructor(
    readonly reason: unknown,
    options: PostgresOptions,
    place?: ServerPlace,
  ) {
    super('no connection to the database');
    this.name = 'ConnectError';
    const target = targetOf(options);
    this.target = place === undefined ? target : { ...target, hosts: [place] };
  }
}

/** None of several servers accepted a connection. @internal */
export class NoServerError extends Error {
  /** @param refusals the reason of each */
  constructor(readonly refusals: readonly (readonly [ServerPlace, unknown])[]) {
    super('no server takes a connection');
    this.name = 'NoServerError';
  }
}

/** The subject of a refusal at the start of a connection; it contains no user data of entries. */
interface Refusal {
  /** A message that names the database or the user, so that the target need not repeat it. */
  readonly words: string;
  readonly names: 'database' | 'user' | undefined;
}

/**
 * The message for a failed connection: `database "nodb" does not exist (3D000) at host
 * 10.0.0.5:5432, user app`. Of the server's text only the name of a parameter is shown.
 *
 * @param usual message for codes without a better one
 * @internal
 */
export function describeConnectFailure(
  { code, message }: { readonly code: string | undefined; readonly message: string },
  target: DatabaseTarget,
  usual: string,
): string {
  const refusal = code === undefined ? undefined : refusalOf(code, message, target);
  const what = refusal ? `${refusal.words} (${code})` : usual;
  const names = [
    ...(refusal?.names === 'database' ? [] : [`database ${shown(target.database)}`]),
    ...(refusal?.names === 'user' ? [] : [`user ${shown(target.user)}`]),
  ];
  return [`${what} at ${describeHosts(target)}`, ...names].join(', ');
}

function refusalOf(code: string, message: string, target: DatabaseTarget): Refusal | undefined {
  const { database, user } = target;
  switch (code) {
    case '3D000':
      return { words: `database "${shown(database)}" does not exist`, names: 'database' };
    case '28P01':
      return { words: `the password of user "${shown(user)}" was refused`, names: 'user' };
    case '28000':
      return { words: `user "${shown(user)}" may not connect`, names: 'user' };
    default: {
      const parameter = refusedParameter(code, message);
      if (parameter === undefined) return undefined;
      const words = `the server or pooler refuses the startup parameter "${parameter}" of the connection`;
      return { words, names: undefined };
    }
  }
}

/** PgBouncer's messages in all versions. Source: pgbouncer/src/client.c, 1.8 to 1.25. */
const OF_POOLER = /unsupported startup parameter(?: in options)?: ([a-z_][\w.]{0,62})/i;
const OF_POOLER_OPTIONS = /unsupported options startup parameter/i;
/** The server translates its messages, but not the quoted name. */
const QUOTED = /["«„“]\s?([a-z_][\w.]{0,62})\s?["»“”]/i;

function refusedParameter(code: string, message: string): string | undefined {
  // protocol_violation; undefined_object and invalid_parameter_value. Source: guc.c, GetConfigOption.
  if (code === '08P01') {
    if (OF_POOLER_OPTIONS.test(message)) return 'options';
    return OF_POOLER.exec(message)?.[1];
  }
  return code === '42704' || code === '22023' ? QUOTED.exec(message)?.[1] : undefined;
}
