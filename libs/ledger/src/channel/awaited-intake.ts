import { LedgerEntryInvalidError } from '../errors/ledger-entry-invalid.error.js';
import {
  LedgerDeadLetteredError,
  LedgerNoCommitError,
  LedgerSealedError,
  LedgerSpilledError,
  LedgerWaitTimeoutError,
} from '../errors/wait.errors.js';
import type { Clock, Timer } from '../clock/clock.js';
import type { Settlement } from './commit-line.js';
import type { Handoff } from './handoff.js';
import type { Intake, Place } from './intake.js';
import { onAbort } from './on-abort.js';

/** How long a caller waits, and for what. @publicApi */
export interface WaitOptions {
  /**
   * `queued`: the entry has a place in the channel. `durable`: the entry survives the process, or
   * with `journalSync: 'power'` a power loss. Without a writable journal, `durable` waits for the
   * commit. `committed` (default): the entry is committed. On a gateway the default is `durable`:
   * the journal or the stream has the entry. There `committed` rejects with `LedgerNoCommitError`.
   */
  readonly until?: 'queued' | 'durable' | 'committed';
  /**
   * Limit of the whole wait in milliseconds. Default: `commitTimeoutMs` for a commit,
   * `blockTimeoutMs` otherwise, also for a commit that replaces a journal that can't be written.
   */
  readonly timeoutMs?: number;
  /** Ends the wait only; the entry stays. */
  readonly signal?: AbortSignal;
}

/** Result of a wait. @publicApi */
export interface WaitResult {
  /**
   * Uuid of the entry. After a commit it is the uuid in the table, even if another caller had taken
   * the first one. After `queued` it never changes.
   */
  readonly uuid: string;
  /**
   * The requested state or a later one. `durable` means that the journal has the entry, or on a
   * gateway the stream.
   */
  readonly outcome: 'queued' | 'durable' | 'written' | 'duplicate';
}

/** Parts of the awaited intake. */
export interface AwaitedIntakeParts {
  readonly intake: Intake;
  readonly handoff: Handoff;
  readonly clock: Clock;
  readonly blockTimeoutMs: number;
  readonly commitTimeoutMs: number;
  /** Meaning of a successful write: a gateway's entry is in the stream, not in the table. */
  readonly taken: 'written' | 'published';
}

/** An entry in the channel, and the promise of its caller. */
interface Wait {
  readonly uuid: string;
  readonly startedAt: number;
  readonly options: WaitOptions;
  readonly resolve: (result: WaitResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Takes entries of callers who wait for room or for the commit. The end of a wait does not remove
 * the entry. Each caller is answered exactly once.
 *
 * @internal
 */
export class AwaitedIntake {
  readonly #parts: AwaitedIntakeParts;

  /** Callers without an answer so far. */
  #waits = 0;
  /** Keeps the process alive until each caller is answered: during an outage nothing else may. */
  #hold: Timer | undefined;

  constructor(parts: AwaitedIntakeParts) {
    this.#parts = parts;
    // The shutdown has its own time limits; an entry that it loses must not delay it.
    parts.handoff.whenSealed(() => this.#hold?.cancel());
  }

  /** See `LedgerService.recordAndWait`. */
  async record(entry: unknown, options: WaitOptions): Promise<WaitResult> {
    checkWaitOptions(options);
    this.#enter();
    try {
      return await this.#wait(entry, options);
    } finally {
      this.#leave();
    }
  }

  #enter(): void {
    const { clock, handoff } = this.#parts;
    if (this.#waits++ === 0 && !handoff.isSealed) this.#hold = clock.hold();
  }

  #leave(): void {
    if (--this.#waits === 0) this.#hold?.cancel();
  }

  #wait(entry: unknown, options: WaitOptions): Promise<WaitResult> {
    const { intake, clock, blockTimeoutMs } = this.#parts;
    const startedAt = clock.monotonic();
    const limits = { timeoutMs: options.timeoutMs ?? blockTimeoutMs, signal: options.signal };
    return new Promise((resolve, reject) => {
      intake.place(entry, limits, (place) => {
        const wait = { uuid: place.uuid, startedAt, options, resolve, reject };
        if (place.outcome === 'spilled') return this.#answerLate(place.file, wait);
        if (place.outcome !== 'queued') return this.#refuse(place, wait);
        if (this.#until(options) === 'durable') return this.#awaitDurable(place.position, wait);
        if (options.until !== 'queued') return this.#untilCommitted(place.position, wait);
        this.#resolve(wait, 'queued');
      });
    });
  }

  #until({ until }: WaitOptions): WaitOptions['until'] {
    return until ?? (this.#parts.taken === 'published' ? 'durable' : 'committed');
  }

  /** The entry stays queued if there is no commit to wait for. */
  #untilCommitted(position: number, wait: Wait): void {
    if (this.#parts.taken === 'written') return this.#awaitCommit(position, wait);
    this.#parts.intake.knownUuids.noteAnswered(wait.uuid);
    wait.reject(new LedgerNoCommitError(wait.uuid));
  }

  /** The entry came after the seal: it is in a file and will not be committed. */
  #answerLate(file: string, { uuid, options, resolve, reject }: Wait): void {
    this.#parts.intake.knownUuids.noteAnswered(uuid);
    const until = this.#until(options);
    if (until === 'queued' || until === 'durable') {
      resolve({ uuid, outcome: until });
    } else {
      reject(new LedgerSpilledError(uuid, file));
    }
  }

  #resolve({ uuid, resolve }: Wait, outcome: WaitResult['outcome']): void {
    this.#parts.intake.knownUuids.noteAnswered(uuid);
    resolve({ uuid, outcome });
  }

  #refuse(place: Exclude<Place, { outcome: 'queued' | 'spilled' }>, wait: Wait): void {
    const { uuid, reject, options } = wait;
    switch (place.outcome) {
      case 'sealed':
        return reject(new LedgerSealedError(uuid));
      case 'invalid':
        return reject(new LedgerEntryInvalidError(place.fault.field, place.fault.rule, uuid));
      case 'aborted':
        return reject(options.signal?.reason);
      case 'dropped':
      case 'timeout':
        return reject(new LedgerWaitTimeoutError('dropped', this.#waitedMs(wait), uuid));
    }
  }

  #waitedMs({ startedAt }: Wait): number {
    return Math.round(this.#parts.clock.monotonic() - startedAt);
  }

  #awaitDurable(position: number, wait: Wait): void {
    const { handoff, blockTimeoutMs } = this.#parts;
    const { journal, durables } = handoff;
    if (journal === undefined) return this.#awaitCommit(position, wait);
    if (journal.durableUntil > position) return this.#resolve(wait, 'durable');
    if (journal.reason !== undefined) return this.#awaitCommit(position, wait, blockTimeoutMs);
    const { signal } = wait.options;
    const end = (): void => {
      leave();
      unwatch();
      stopListening?.();
    };
    const leave = durables.join(position, this.#leftMs(wait, blockTimeoutMs), (outcome) => {
      end();
      if (outcome === 'durable') this.#resolve(wait, 'durable');
      else if (outcome === 'degraded') this.#fallBack(position, wait);
      else this.#giveUp(wait);
    });
    // On a slow disk the row may be committed before it is durable.
    const unwatch = handoff.commits.watch({
      position,
      settle: (settlement) => {
        end();
        this.#answer(settlement, wait);
      },
    });
    const stopListening =
      signal &&
      onAbort(signal, () => {
        end();
        wait.reject(signal.reason);
      });
  }

  /** The journal failed before it had the row, so the caller waits for the commit. */
  #fallBack(position: number, wait: Wait): void {
    const { handoff, blockTimeoutMs } = this.#parts;
    this.#awaitCommit(position, wait, blockTimeoutMs);
    handoff.noteQueued();
  }

  /** Remaining time of the caller, or of the default limit. */
  #leftMs(wait: Wait, otherwiseMs: number): number {
    const { timeoutMs } = wait.options;
    return timeoutMs === undefined ? otherwiseMs : Math.max(0, timeoutMs - this.#waitedMs(wait));
  }

  #giveUp(wait: Wait): void {
    this.#parts.intake.knownUuids.noteAnswered(wait.uuid);
    wait.reject(new LedgerWaitTimeoutError('queued', this.#waitedMs(wait), wait.uuid));
  }

  #awaitCommit(position: number, wait: Wait, limitMs = this.#parts.commitTimeoutMs): void {
    const { clock, handoff } = this.#parts;
    const { options, reject } = wait;
    const { signal } = options;
    const leftMs = this.#leftMs(wait, limitMs);
    const end = (): void => {
      timer.cancel();
      unwatch?.();
      stopListening?.();
    };
    const timer = clock.after(leftMs, () => {
      end();
      this.#giveUp(wait);
    });
    const stopListening =
      signal &&
      onAbort(signal, () => {
        end();
        reject(signal.reason);
      });
    const settle = (settlement: Settlement): void => {
      end();
      this.#answer(settlement, wait);
    };
    const { channel, commits } = handoff;
    // A row before the head already belongs to a batch, which no caller can join.
    const unwatch = position < channel.head ? commits.watch({ position, settle }) : undefined;
    if (unwatch === undefined) commits.join({ position, settle });
  }

  #answer(settlement: Settlement, wait: Wait): void {
    const { resolve, reject } = wait;
    const { uuid = wait.uuid } = settlement;
    // The caller knows the uuid in every case and may repeat it.
    this.#parts.intake.knownUuids.noteAnswered(uuid);
    switch (settlement.outcome) {
      case 'written':
        return resolve({ uuid, outcome: this.#parts.taken === 'written' ? 'written' : 'durable' });
      case 'duplicate':
        return resolve({ uuid, outcome: settlement.outcome });
      case 'deadLettered':
        return reject(new LedgerDeadLetteredError(uuid, settlement.reason, settlement.sqlState));
      case 'spilled':
        return reject(new LedgerSpilledError(uuid, settlement.file));
      case 'lost':
        // An attempt may have been committed without an answer, so the advice is the same as after
        // a timeout.
        return reject(new LedgerWaitTimeoutError('queued', this.#waitedMs(wait), uuid));
    }
  }
}

const UNTIL: ReadonlySet<string> = new Set(['queued', 'durable', 'committed']);

/** @throws TypeError naming the option and its rule */
function checkWaitOptions({ until, timeoutMs, signal }: WaitOptions): void {
  if (until !== undefined && !UNTIL.has(until)) {
    throw new TypeError("recordAndWait: until must be 'queued', 'durable' or 'committed'");
  }
  checkTimeout('recordAndWait', timeoutMs);
  if (signal !== undefined && typeof signal.addEventListener !== 'function') {
    throw new TypeError('recordAndWait: signal must be an AbortSignal');
  }
}

/** Longest delay of a timer. Source: Node's manual, setTimeout. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** @throws TypeError naming the call */
export function checkTimeout(call: string, timeoutMs: number | undefined): void {
  if (timeoutMs === undefined) return;
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= LONGEST_TIMEOUT_MS) return;
  throw new TypeError(`${call}: timeoutMs must be a number from 0 to ${LONGEST_TIMEOUT_MS}`);
}
