import type { ServerPlace } from './address-hosts.js';
import type { PostgresAddress } from './parse-address.js';

/**
 * Required properties of a session, in libpq's terms. A ledger writes, so values that require a
 * standby are refused.
 *
 * @internal
 */
export const SESSION_KINDS = ['any', 'read-write', 'primary'] as const;

/** @internal */
export type SessionKind = (typeof SESSION_KINDS)[number];

const WANTED = 'target_session_attrs';
const BALANCE = 'load_balance_hosts';

/** The rule that an address breaks with its hosts. @internal */
export function hostListRule({ hosts, parameters }: PostgresAddress): string | undefined {
  const wanted = parameters.get(WANTED);
  if (wanted !== undefined && !(SESSION_KINDS as readonly string[]).includes(wanted)) {
    return `must have ${WANTED}=read-write, primary or any, since a ledger writes`;
  }
  if ((parameters.get(BALANCE) ?? 'disable') !== 'disable') {
    return `must not have ${BALANCE}: hosts are tried in the order of the address`;
  }
  const ports = parameters.get('port')?.split(',').length ?? 1;
  if (parameters.has('host') && ports > 1 && ports !== hosts.length) {
    return `names ${hosts.length} hosts and ${ports} ports: give one port, or one for each host`;
  }
  return undefined;
}

/**
 * A warning about an address with which a ledger could stay on a standby; undefined if there is
 * none.
 *
 * @internal
 */
export function hostListAdvice({ hosts, parameters }: PostgresAddress): string | undefined {
  if (hosts.length < 2 || parameters.has(WANTED)) return undefined;
  return (
    `the URL names ${hosts.length} hosts without ${WANTED}, so that the first that answers is used, ` +
    `a standby too: add ${WANTED}=read-write`
  );
}

/**
 * The servers that one pool may connect to, and the next one to try.
 *
 * A search begins at the server of the last connection, initially the first of the list, and tries
 * each once. A silent host thus costs its time limit once, and not for every new connection.
 *
 * @internal
 */
export class HostList {
  #next = 0;
  readonly #refusedBy = new WeakMap<object, ServerPlace>();
  readonly #refusals = new Map<ServerPlace, unknown>();

  /** @param hosts at least one */
  constructor(
    readonly hosts: readonly ServerPlace[],
    readonly wanted: SessionKind,
  ) {}

  /**
   * Undefined if the address names one host without a required property, or none.
   *
   * @param port of hosts without one; else libpq's variable or its default
   */
  static of({ hosts, parameters }: PostgresAddress, port?: number | string): HostList | undefined {
    const wanted = parameters.get(WANTED);
    if (hosts.length < 2 && (wanted === undefined || hosts.length === 0)) return undefined;
    const usual = String(port ?? (process.env['PGPORT'] || 5432));
    const places = hosts.map((each) => ({ host: each.host, port: each.port ?? usual }));
    return new HostList(places, (wanted as SessionKind | undefined) ?? 'any');
  }

  /** The server of the next new connection. */
  get next(): ServerPlace {
    return this.hosts[this.#next]!;
  }

  /** A new connection to this server is in use. */
  accept(place: ServerPlace): void {
    this.#refusals.delete(place);
  }

  /** A new connection to this server failed: the next one goes to another server. */
  refuse(place: ServerPlace, reason: Error): void {
    this.#refusals.set(place, reason);
    this.#refusedBy.set(reason, place);
    // Two connections may fail at the same time.
    if (this.next === place) this.#next = (this.#next + 1) % this.hosts.length;
  }

  /**
   * The server concerned by a failure; undefined for another kind of failure, such as a full pool.
   */
  placeOf(failure: unknown): ServerPlace | undefined {
    const { cause } = (failure ?? {}) as { cause?: unknown };
    return [failure, cause]
      .filter((each) => typeof each === 'object' && each !== null)
      .map((each) => this.#refusedBy.get(each))
      .find((place) => place !== undefined);
  }

  /** The refusals of all servers that accept none, in the order of the list. */
  get refusals(): readonly (readonly [ServerPlace, unknown])[] {
    return this.hosts
      .filter((place) => this.#refusals.has(place))
      .map((place) => [place, this.#refusals.get(place)]);
  }
}

/**
 * The servers that the pool of these options chooses from; undefined if it has only one.
 *
 * @internal
 */
export function hostListOf({ extra }: { readonly extra?: unknown }): HostList | undefined {
  return (extra as { readonly hostList?: HostList } | undefined)?.hostList;
}
