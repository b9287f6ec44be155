import type { Clock, Timer } from '../clock/clock.js';
import { Deadline } from '../clock/deadline.js';
import type { PgSession } from '../postgres/pg-session.js';
import { readPgError } from '../postgres/read-pg-error.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import { readServerHistory } from '../postgres/server-history.js';
import { UNKNOWN_SERVER, type ServerHistory } from '../segments/settled-frame.js';

/** The server is asked with at most one batch a second. Source: the journal's design. */
const EVERY_MS = 1000;
/**
 * Milliseconds after a question is due until it is asked without a batch; a batch in between asks
 * it first.
 */
const LATER_MS = 500;
/** Milliseconds for such a question. */
const ASK_MS = 10_000;
/**
 * Milliseconds until a server that refuses the question is asked again: the next server may answer.
 */
const REST_MS = 60_000;
/**
 * Classes of answers that say nothing of the question: object not in prerequisite state (a standby),
 * insufficient resources, operator intervention (a cancelled statement, a shutdown) and system
 * error. Source: PostgreSQL 18, appendix A.
 */
const PASSING = ['55', '53', '57', '58'];

/** Dependencies of a question. @internal */
export interface ServerQuestionParts {
  readonly clock: Clock;
  /** Source of connections for a question without a batch. */
  readonly connections: SessionLender;
  /** Called once if the server refuses to answer. */
  readonly onNotice: (text: string) => void;
}

/**
 * Asks for the history of the server that gets the batches, on a connection about to write one. A
 * pooler or an address that now leads to another server is therefore detected.
 *
 * @internal
 */
export class ServerQuestion {
  readonly #parts: ServerQuestionParts;
  #dueAt = Number.NEGATIVE_INFINITY;
  #isNoticed = false;
  #timer: Timer | undefined;
  #isClosed = false;
  /** The last answer. */
  last: ServerHistory = UNKNOWN_SERVER;
  #listener: (history: ServerHistory) => void = () => {};

  constructor(parts: ServerQuestionParts) {
    this.#parts = parts;
  }

  /** @param listener called with every answer; must not throw */
  listen(listener: (history: ServerHistory) => void): void {
    this.#listener = listener;
  }

  /**
   * Asks if a second has passed, otherwise soon, because this session's batch may be the last for
   * long. A batch does not fail because the server refuses.
   *
   * @throws the error of `pg`, or DeadlineError, if the session ended: it can take no batch either
   */
  async ask(session: PgSession): Promise<void> {
    const { clock } = this.#parts;
    if (clock.monotonic() < this.#dueAt) return this.#askLater();
    this.#timer?.cancel();
    this.#timer = undefined;
    // Other workers do not ask meanwhile.
    this.#dueAt = clock.monotonic() + EVERY_MS;
    try {
      const history = await readServerHistory(session);
      if (history === undefined) this.#refused('it names no timeline');
      else this.#note(history);
    } catch (error) {
      const { code = '', text } = readPgError(error);
      // A pooler that lost its server answers too, and ends the session.
      if (session.isHeld && !PASSING.includes(code.slice(0, 2))) return this.#refused(text);
      // The next session asks.
      this.#dueAt = Number.NEGATIVE_INFINITY;
      if (!session.isHeld) throw error;
    }
  }

  /** Stops asking. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #askLater(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    const { clock, connections } = this.#parts;
    const ms = this.#dueAt - clock.monotonic() + LATER_MS;
    this.#timer = clock.after(ms, () => {
      this.#timer = undefined;
      // If the server is unreachable, the next batch asks.
      connections.use(new Deadline(ASK_MS), (session) => this.ask(session)).catch(() => undefined);
    });
  }

  #note(history: ServerHistory): void {
    this.last = history;
    this.#listener(history);
  }

  #refused(why: string): void {
    const { clock, onNotice } = this.#parts;
    this.#dueAt = clock.monotonic() + REST_MS;
    if (this.#isNoticed) return;
    this.#isNoticed = true;
    onNotice(
      `journalKeepMs has no effect: the server does not say which timeline it is on (${why}); ` +
        'grant EXECUTE on pg_control_system(), pg_current_wal_lsn() and pg_walfile_name(text)',
    );
  }
}
