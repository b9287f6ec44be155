import { isLedgerError } from '../errors/is-ledger-error.js';
import type { Clock } from '../clock/clock.js';

/**
 * Time limit of a probe. Below the second that Kubernetes gives a probe by default
 * (https://kubernetes.io/docs/concepts/workloads/pods/probes/), or a silent database would fail the
 * liveness probe and restart a process that only has to wait.
 */
export const PING_TIMEOUT_MS = 500;
/** Time for which an answer is reused, so that many probes cost one query a second. */
export const PING_REUSE_MS = 1000;

/** Whether the database answers, and the SQLSTATE or socket code if there was one. @internal */
export interface DatabaseAnswer {
  readonly database: 'up' | 'away';
  readonly code?: string;
}

/** The part of the clock that health needs. @internal */
export type ProbeClock = Pick<Clock, 'monotonic' | 'after' | 'nextTurn'>;

/** Pings the database, one call at a time and at most once a second, for all probes. @internal */
export class DatabaseProbe {
  readonly #ping: (timeoutMs: number) => Promise<void>;
  readonly #clock: ProbeClock;
  #asking: Promise<DatabaseAnswer> | undefined;
  #last: { readonly answer: DatabaseAnswer; readonly at: number } | undefined;
  #isPinging = false;

  constructor(ping: (timeoutMs: number) => Promise<void>, clock: ProbeClock) {
    this.#ping = ping;
    this.#clock = clock;
  }

  /** Never rejects; settles within `PING_TIMEOUT_MS` even if the ping doesn't. */
  ask(): Promise<DatabaseAnswer> {
    const last = this.#last;
    if (last !== undefined && this.#clock.monotonic() - last.at < PING_REUSE_MS) {
      return Promise.resolve(last.answer);
    }
    this.#asking ??= this.#answer().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * The last answer of any age, while the next ping is under way; waits only for the first. Never
   * rejects.
   */
  lastAnswer(): Promise<DatabaseAnswer> {
    const last = this.#last;
    const next = this.ask();
    return last === undefined ? next : Promise.resolve(last.answer);
  }

  async #answer(): Promise<DatabaseAnswer> {
    // A ping beyond its deadline is an answer; another ping would only queue behind it.
    const answer: DatabaseAnswer = this.#isPinging ? { database: 'away' } : await this.#pingOnce();
    this.#last = { answer, at: this.#clock.monotonic() };
    return answer;
  }

  #pingOnce(): Promise<DatabaseAnswer> {
    this.#isPinging = true;
    return new Promise((resolve) => {
      const end = (): void => resolve({ database: 'away' });
      // The answer may have arrived while the process was held up: a turn later it is read.
      const timer = this.#clock.after(PING_TIMEOUT_MS, () => this.#clock.nextTurn(end));
      void this.#settledPing().then((answer) => {
        timer.cancel();
        this.#isPinging = false;
        resolve(answer);
      });
    });
  }

  async #settledPing(): Promise<DatabaseAnswer> {
    try {
      await this.#ping(PING_TIMEOUT_MS);
      return { database: 'up' };
    } catch (error) {
      return { database: 'away', ...codeOf(error) };
    }
  }
}

/** The code only, because the driver's messages may contain host and user. */
function codeOf(error: unknown): { code?: string } {
  const { sqlState, code } = (error ?? {}) as { sqlState?: unknown; code?: unknown };
  const found = [sqlState, isLedgerError(error) ? undefined : code].find(
    (each) => typeof each === 'string' && /^\w{5,30}$/.test(each),
  );
  return found === undefined ? {} : { code: found as string };
}
