import { LedgerEntryInvalidError } from '../errors/ledger-entry-invalid.error.js';
import {
  LedgerDeadLetteredError,
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
  /** `queued`: a place in the channel. `committed` (default): the commit that holds the entry. */
  readonly until?: 'queued' | 'committed';
  /** Limit of the whole wait in milliseconds. Default: `blockTimeoutMs`, then `commitTimeoutMs`. */
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
  readonly outcome: 'queued' | 'written' | 'duplicate';
}

/** What the awaited intake is made of. */
export interface AwaitedIntakeParts {
  readonly intake: Intake;
  readonly handoff: Handoff;
  readonly clock: Clock;
  readonly blockTimeoutMs: number;
  readonly commitTimeoutMs: number;
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
        if (options.until !== 'queued') return this.#awaitCommit(place.position, wait);
        intake.knownUuids.noteAnswered(place.uuid);
        resolve({ uuid: place.uuid, outcome: 'queued' });
      });
    });
  }

  /** The entry came after the seal: it is in a file, and no commit comes any more. */
  #answerLate(file: string, { uuid, options, resolve, reject }: Wait): void {
    this.#parts.intake.knownUuids.noteAnswered(uuid);
    if (options.until === 'queued') resolve({ uuid, outcome: 'queued' });
    else reject(new LedgerSpilledError(uuid, file));
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

  #awaitCommit(position: number, wait: Wait): void {
    const { clock, handoff, commitTimeoutMs } = this.#parts;
    const { uuid, options, reject } = wait;
    const { timeoutMs, signal } = options;
    const leftMs =
      timeoutMs === undefined ? commitTimeoutMs : Math.max(0, timeoutMs - this.#waitedMs(wait));
    const end = (): void => {
      timer.cancel();
      stopListening?.();
    };
    const timer = clock.after(leftMs, () => {
      end();
      this.#parts.intake.knownUuids.noteAnswered(uuid);
      reject(new LedgerWaitTimeoutError('queued', this.#waitedMs(wait), uuid));
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
    handoff.commits.join({ position, settle });
  }

  #answer(settlement: Settlement, wait: Wait): void {
    const { resolve, reject } = wait;
    const { uuid = wait.uuid } = settlement;
    // Whatever became of the entry, its caller knows the uuid and may repeat it.
    this.#parts.intake.knownUuids.noteAnswered(uuid);
    switch (settlement.outcome) {
      case 'written':
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

/** @throws TypeError naming the option and its rule */
function checkWaitOptions({ until, timeoutMs, signal }: WaitOptions): void {
  if (until !== undefined && until !== 'queued' && until !== 'committed') {
    throw new TypeError("recordAndWait: until must be 'queued' or 'committed'");
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
