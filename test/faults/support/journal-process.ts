import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LedgerStats } from '../../../libs/ledger/src/ports/ledger-stats.interface.js';
import { transpileFolder } from '../../support/transpile.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FOLDERS = {
  journal: fileURLToPath(new URL('./journal', import.meta.url)),
  stream: fileURLToPath(new URL('./stream', import.meta.url)),
};

/** Builds what the processes run. @returns path of their program */
export async function buildJournalProgram(name: keyof typeof FOLDERS = 'journal'): Promise<string> {
  await promisify(execFile)(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
  return fileURLToPath(new URL('main.js', await transpileFolder(FOLDERS[name])));
}

/** What a process is started with. */
export interface JournalProcessOptions {
  /** As `buildJournalProgram` returns it. */
  readonly program: string;
  readonly databaseUrl: string;
  readonly journalDir: string;
  readonly spillDir: string;
  readonly sync: string;
  /** Number of its first entry: the numbers of two processes must not meet. */
  readonly first: number;
  /** Entries a second. */
  readonly rate: number;
  /** What else its environment has. */
  readonly more?: Readonly<Record<string, string>>;
  /** `journalMaxBytes`; default: the ledger's. */
  readonly maxBytes?: number;
  /** Of the memo of an entry; default: a few. */
  readonly memoBytes?: number;
  /** Command and arguments that run the program, as `unshare` does; default: none. */
  readonly inside?: readonly string[];
}

/** A process with a ledger and a journal, which records until it is killed. */
export class JournalProcess {
  readonly first: number;
  /** All entries before this one were acknowledged as durable. */
  durable: number;
  /** Lines that it said, and the last of its `stats()`. */
  readonly lines: string[] = [];
  stats: LedgerStats | undefined;
  /** Of its ledger, eight hex digits; empty before its first `stats()`. */
  run = '';
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  #isGone = false;

  constructor(options: JournalProcessOptions) {
    const {
      program,
      databaseUrl,
      journalDir,
      spillDir,
      sync,
      first,
      rate,
      inside = [],
      more,
    } = options;
    this.first = this.durable = first;
    const { PATH, HOME, TMPDIR } = process.env;
    const own = { DATABASE: databaseUrl, JOURNAL_DIR: journalDir, SPILL_DIR: spillDir };
    const { maxBytes, memoBytes } = options;
    const sizes = {
      ...(maxBytes === undefined ? {} : { MAX_BYTES: String(maxBytes) }),
      ...(memoBytes === undefined ? {} : { MEMO_BYTES: String(memoBytes) }),
    };
    const [command, ...args] = [...inside, process.execPath, program];
    this.#child = spawn(command, args, {
      cwd: ROOT,
      env: {
        PATH,
        HOME,
        TMPDIR,
        ...own,
        SYNC: sync,
        FIRST: String(first),
        RATE: String(rate),
        ...sizes,
        ...more,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#gone = new Promise((resolve) =>
      this.#child.once('close', () => {
        this.#isGone = true;
        resolve();
      }),
    );
    let rest = '';
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.#hear(line);
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => this.lines.push(text));
  }

  #hear(line: string): void {
    const [, what, value] = /^(durable|stats) (.*)$/.exec(line) ?? [];
    if (what === 'durable') this.durable = Number(value);
    else if (what === 'stats') {
      this.stats = JSON.parse(value!) as LedgerStats;
      this.run = this.stats.run;
    } else this.lines.push(line);
  }

  /** Lines about entries that were refused, or whose wait failed. */
  get refusals(): string[] {
    return this.lines.filter((line) => /^(refused|failed)/.test(line));
  }

  says(what: RegExp): Promise<void> {
    return this.#until(String(what), () => this.lines.some((line) => what.test(line)));
  }

  /** Waits for entries that were acknowledged from now on. */
  isDurable(more: number): Promise<void> {
    const until = this.durable + more;
    return this.#until(`${until} durable`, () => this.durable >= until);
  }

  /** Waits for `stats()` that are new and as wanted. */
  hasStats(what: string, isWanted: (stats: LedgerStats) => boolean): Promise<void> {
    this.stats = undefined;
    return this.#until(what, () => this.stats !== undefined && isWanted(this.stats));
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.#isGone) throw new Error(`ended before ${what}:\n${this.lines.join('\n')}`);
      await pause(5);
    }
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void {
    this.#child.kill(signal);
  }

  /** Asks it to stop, and waits until it has. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#gone;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
  }
}
