import type { RetiredPartition, LedgerRetention } from '../ports/ledger-retention.interface.js';
import { randomUUID } from 'node:crypto';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { ledgerCommand } from '../entry/ledger-command.js';
import type { PgSession } from '../postgres/pg-session.js';
import { tableNames } from '../postgres/table-names.js';
import { Deadline, DeadlineError } from '../clock/deadline.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import type { RetirementHooks } from '../postgres/retirement-hooks.interface.js';
import { readPgError, sqlStateOf } from '../postgres/read-pg-error.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { Clock, Timer } from '../clock/clock.js';
import { createPartitions, missingPeriods } from './create-partitions.js';
import { listPartitions, type PartitionedTable } from './list-partitions.js';
import { retentionCutoff, wantedPeriods } from './partition-plan.js';
import {
  CLAIM_MS,
  claimRetired,
  detachPartitions,
  dropRetired,
  earlierNow,
  endRetired,
  leaveRetired,
  listRetired,
  partitionsBefore,
  releaseRetired,
  type FoundRetired,
} from './retire-partitions.js';

/** Milliseconds between two checks for missing partitions; a period lasts at least a day. */
const LOOK_MS = 3_600_000;
/** After a failed check, or one that left the work to another process, which may have died. */
const AGAIN_MS = 60_000;
/**
 * SQLSTATEs insufficient_privilege and query_canceled: a check a minute later would fail too, and one
 * that runs out of time makes all writers wait meanwhile. Source: PostgreSQL 18, appendix A.
 */
const LASTING = ['42501', '57014'];
/** A claim is renewed before it expires, even if one renewal fails. */
const RENEW_MS = CLAIM_MS / 3;
/** Time limit of one connection, including waits for locks. */
const WORK_MS = 60_000;

/** Dependencies of a keeper. @internal */
export interface PartitionKeeperParts {
  readonly definition: LedgerTable;
  readonly connections: Pick<SessionLender, 'use'>;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly retention: LedgerRetention | undefined;
  /** Work of other parts of the ledger when a partition is retired. */
  readonly hooks: RetirementHooks;
}

/**
 * Creates partitions ahead of time and, if configured, retires old ones. Every process may have a
 * keeper; they alternate. A failure causes only a warning, because entries without their own
 * partition go to the default one.
 *
 * Idle -> looking (`look`) -> waiting for the next look -> looking …, until `stop`. The work of an
 * `onRetire` delays no look.
 *
 * @internal
 */
export class PartitionKeeper {
  readonly #parts: PartitionKeeperParts;
  readonly #told = new Set<string>();
  /** Known once a connection was lent; remedies contain it. */
  #connectionSchema: string | undefined;
  #timer: Timer | undefined;
  /** The check under way; resolves to whether the table has partitions made by the ledger. */
  #making: Promise<boolean> | undefined;
  #retiring: Promise<void> | undefined;
  /** Identifies this keeper's claims on retired partitions. */
  readonly #id = randomUUID();
  readonly #end = new AbortController();

  constructor(parts: PartitionKeeperParts) {
    this.#parts = parts;
  }

  /** Looks now, and then every hour. Concurrent callers share one look. Never rejects. */
  async look(): Promise<void> {
    if (await this.#makeOnce()) await this.#retireOnce();
  }

  /**
   * Looks, and resolves when partitions are created, without waiting for `onRetire`, which may take
   * long.
   */
  async make(): Promise<void> {
    void this.look();
    await this.#making;
  }

  /** Stops looking; work under way ends by itself. Stopping twice is allowed. */
  stop(): void {
    this.#end.abort();
    this.#timer?.cancel();
  }

  #makeOnce(): Promise<boolean> {
    if (this.#end.signal.aborted) return Promise.resolve(false);
    this.#timer?.cancel();
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<boolean> {
    let result = { isOurs: false, isBusy: false };
    let nextMs = LOOK_MS;
    try {
      result = await this.#work();
      if (result.isBusy) nextMs = AGAIN_MS;
    } catch (error) {
      this.#tellFailure(error);
      if (!isLasting(error)) nextMs = AGAIN_MS;
    }
    if (!this.#end.signal.aborted) {
      this.#timer = this.#parts.clock.after(nextMs, () => void this.look());
    }
    return result.isOurs;
  }

  #retireOnce(): Promise<void> {
    const { retention } = this.#parts;
    if (retention === undefined) return Promise.resolve();
    this.#retiring ??= this.#endRetirements(retention)
      .catch((error: unknown) => this.#tellFailure(error))
      .finally(() => {
        this.#retiring = undefined;
      });
    return this.#retiring;
  }

  /**
   * `isOurs`: the table has partitions made by the ledger. `isBusy`: another process creates some.
   */
  async #work(): Promise<{ isOurs: boolean; isBusy: boolean }> {
    const { definition, clock, retention } = this.#parts;
    if (definition.partition === undefined) return { isOurs: false, isBusy: false };
    return this.#use(async (session, sqlTable) => {
      const table = await listPartitions(session, sqlTable);
      if (table === undefined || !this.#isOurs(table, sqlTable)) {
        return { isOurs: false, isBusy: false };
      }
      const isBusy = await this.#create(session, sqlTable, table);
      if (retention !== undefined) {
        await this.#detach(session, { sqlTable, table, retention, now: clock.now() });
      }
      return { isOurs: true, isBusy };
    });
  }

  #isOurs({ isPartitioned, isByUuid }: PartitionedTable, sqlTable: string): boolean {
    if (isPartitioned && isByUuid) return true;
    this.#warnOnce(
      isPartitioned
        ? `${sqlTable} is not partitioned by ranges of uuid: create its partitions yourself`
        : `${sqlTable} is a plain table: run \`${this.#command('convert')}\``,
    );
    return false;
  }

  /** @returns whether another process creates partitions */
  async #create(session: PgSession, sqlTable: string, table: PartitionedTable): Promise<boolean> {
    const { definition, clock, logger } = this.#parts;
    const wanted = wantedPeriods(definition.partition!, clock.now());
    // The usual look: all partitions exist, and no lock is taken.
    if (missingPeriods(table, wanted).length === 0) return false;
    const patience = { withinMs: WORK_MS / 4, signal: this.#end.signal };
    const { created, moved, isBusy } = await createPartitions(session, sqlTable, wanted, patience);
    if (created.length > 0) {
      const rows = moved === 0 ? '' : `, ${moved} rows moved out of the default partition`;
      logger.log(`created partitions: ${created.join(', ')}${rows}`);
    }
    return isBusy;
  }

  async #detach(
    session: PgSession,
    at: { sqlTable: string; table: PartitionedTable; retention: LedgerRetention; now: number },
  ): Promise<void> {
    const { definition, logger } = this.#parts;
    const now = await earlierNow(session, at.now);
    const cutoff = retentionCutoff(definition.partition!, now, at.retention.keep);
    if (partitionsBefore(at.table.partitions, cutoff).length === 0) return;
    const isAwaited = at.retention.onRetire !== undefined;
    const { hooks } = this.#parts;
    const options = { hooks, isAwaited, withinMs: WORK_MS / 4, signal: this.#end.signal };
    const detached = (await detachPartitions(session, at.sqlTable, cutoff, options)) ?? [];
    for (const { table } of detached) logger.log(`retired partition ${table}`);
  }

  /**
   * Retires detached tables one by one, so that a crash leaves the others marked, and a failure
   * delays none of them.
   */
  async #endRetirements(retention: LedgerRetention): Promise<void> {
    const retired = await this.#use(async (session, sqlTable) => {
      const table = await listPartitions(session, sqlTable);
      return table === undefined ? [] : listRetired(session, table.path);
    });
    const failures: unknown[] = [];
    for (const each of retired) {
      if (this.#end.signal.aborted) return;
      await this.#endOne(each, retention).catch((error: unknown) => failures.push(error));
    }
    for (const error of failures) this.#tellFailure(error);
  }

  async #endOne(
    { partition, isAwaited }: FoundRetired,
    { onRetire }: LedgerRetention,
  ): Promise<void> {
    if (onRetire) await this.#handOver(partition, onRetire);
    else if (isAwaited) this.#warnOnce(awaitedBy(partition));
    else await this.#use((session) => endRetired(session, partition, this.#id, dropRetired));
  }

  /** No connection is held during the application's work; a claim excludes other processes. */
  async #handOver(
    partition: RetiredPartition,
    onRetire: NonNullable<LedgerRetention['onRetire']>,
  ): Promise<void> {
    const claim = (): Promise<boolean> =>
      this.#use((session) => claimRetired(session, partition, this.#id));
    if (!(await claim())) return;
    let timer: Timer | undefined;
    const renewLater = (): void => {
      timer = this.#parts.clock.after(RENEW_MS, () => {
        renewLater();
        // A failed renewal is repeated twice before the claim expires.
        claim().catch(() => undefined);
      });
    };
    renewLater();
    try {
      await onRetire(partition);
      await this.#use((session) => leaveRetired(session, partition));
    } catch (error) {
      await this.#use((session) => releaseRetired(session, partition)).catch(() => undefined);
      throw error;
    } finally {
      timer?.cancel();
    }
  }

  async #use<T>(work: (session: PgSession, sqlTable: string) => Promise<T>): Promise<T> {
    const { connections, definition } = this.#parts;
    const deadline = new Deadline(WORK_MS);
    return connections.use(deadline, async (session) => {
      try {
        this.#connectionSchema = session.schema;
        const { sqlEntries } = tableNames(definition, session.schema);
        return await deadline.race(work(session, sqlEntries));
      } catch (error) {
        // Work that continues after the deadline must not affect the connection's next user.
        if (error instanceof DeadlineError) await session.discard();
        throw error;
      }
    });
  }

  #command(verb: 'create' | 'convert'): string {
    const { definition } = this.#parts;
    return ledgerCommand(`partitions ${verb}`, definition, this.#connectionSchema);
  }

  #tellFailure(error: unknown): void {
    if (this.#end.signal.aborted) return;
    if (sqlStateOf(error) === '42501') {
      return this.#warnOnce(
        'the role may not create or retire partitions, so entries will go to the default partition: ' +
          `run \`${this.#command('create')}\` regularly as the owner of the table`,
      );
    }
    this.#warnOnce(`partitions could not be created or retired: ${readPgError(error).text}`);
  }

  #warnOnce(text: string): void {
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#parts.logger.warn(`WARNING: ${text}`);
  }
}

function isLasting(error: unknown): boolean {
  return error instanceof DeadlineError || LASTING.includes(sqlStateOf(error) ?? '');
}

function awaitedBy({ schema, table }: RetiredPartition): string {
  return (
    `${schema}.${table} was retired for an \`onRetire\`, which this process does not have: ` +
    'it stays until a process with one takes it, or you drop it'
  );
}
