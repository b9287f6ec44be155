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
   * `queued`: a place in the channel. `durable`: that the entry survives the process, or with
   * `journalSync: 'power'` a loss of power; without a journal, or while it can't be written, the commit.
   * `committed` (default): the commit that holds the entry. On a gateway `durable` is the default, and means that the
   * journal or the stream has the entry; `committed` rejects with `LedgerNoCommitError`.
   */
  readonly until?: 'queued' | 'durable' | 'committed';
  /**
   * Limit of the whole wait in milliseconds. Default: `blockTimeoutMs`, and `commitTimeoutMs` where the
   * commit is waited for, unless that stands in for a journal that can't be written.
   */
  readonly timeoutMs?: number;
  /** Ends the wait, not the entry. */
  readonly signal?: AbortSignal;
}

/** What a caller that waited gets. @publicApi */
export interface WaitResult {
  /**
   * The entry's. After a commit it is the one in the table, also where somebody else had taken the first one; after
   * `queued` nothing changes it any more.
   */
  readonly uuid: string;
  /** What was waited for has come about, and maybe more: `durable` is said only of what is in the journal, or on a gateway in the stream. */
  readonly outcome: 'queued' | 'durable' | 'written' | 'duplicate';
}

/** What the awaited intake is made of. */
export interface AwaitedIntakeParts {
  readonly intake: Intake;
  readonly handoff: Handoff;
  readonly clock: Clock;
  readonly blockTimeoutMs: number;
  readonly commitTimeoutMs: number;
  /** What an entry is once the sink took it: a gateway's is in the stream, not in the table. */
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
 * Takes entries of callers who wait for room or for the commit. A wait that ends ends the wait,
 * not the entry; each caller is answered exactly once.
 *
 * @internal
 */
export class AwaitedIntake {
  readonly #parts: AwaitedIntakeParts;

  /** Callers that were not answered yet. */
  #waits = 0;
  /** While the server is away nothing else may keep the process, and each caller is answered. */
  #hold: Timer | undefined;

  constructor(parts: AwaitedIntakeParts) {
    this.#parts = parts;
    // The shutdown has time limits of its own; an entry that it loses must not hold it up.
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

  /** The entry stays queued where there is no commit to wait for. */
  #untilCommitted(position: number, wait: Wait): void {
    if (this.#parts.taken === 'written') return this.#awaitCommit(position, wait);
    this.#parts.intake.knownUuids.noteAnswered(wait.uuid);
    wait.reject(new LedgerNoCommitError(wait.uuid));
  }

  /** The entry came after the seal: it is in a file, and no commit comes any more. */
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
    // A slow disk may have the row later than the database.
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

  /** The journal failed before it had the row: the commit stands in for it. */
  #fallBack(position: number, wait: Wait): void {
    const { handoff, blockTimeoutMs } = this.#parts;
    this.#awaitCommit(position, wait, blockTimeoutMs);
    handoff.noteQueued();
  }

  /** What is left of the caller's time, or of the time that holds without one. */
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
    // A row that a worker has by now belongs to a batch, which nobody joins any more.
    const unwatch = position < channel.head ? commits.watch({ position, settle }) : undefined;
    if (unwatch === undefined) commits.join({ position, settle });
  }

  #answer(settlement: Settlement, wait: Wait): void {
    const { resolve, reject } = wait;
    const { uuid = wait.uuid } = settlement;
    // Whatever became of the entry, its caller knows the uuid and may repeat it.
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
        // An attempt may have been committed without an answer: what to do is as after a timeout.
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

/** The longest time that a timer takes. Source: Node's manual, setTimeout. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** @throws TypeError naming the call */
export function checkTimeout(call: string, timeoutMs: number | undefined): void {
  if (timeoutMs === undefined) return;
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= LONGEST_TIMEOUT_MS) return;
  throw new TypeError(`${call}: timeoutMs must be a number from 0 to ${LONGEST_TIMEOUT_MS}`);
}
