import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const COMMAND = 'libs/ledger/dist/esm/cli/main.js';

/** How a command ended. */
export interface EndedCommand {
  /** Null if a signal ended it. */
  readonly code: number | null;
  /** Both of its outputs. */
  readonly text: string;
}

/** `nestjs-ledger` as npx runs it, with a database in its environment and nothing else. */
export class LedgerCommand {
  constructor(
    private readonly folder: string,
    private readonly databaseUrl: string,
  ) {}

  run(...args: string[]): Promise<EndedCommand> {
    return this.start(...args).ended;
  }

  start(...args: string[]): { child: ChildProcess; ended: Promise<EndedCommand> } {
    const env = { PATH: process.env['PATH'], LEDGER_DATABASE_URL: this.databaseUrl };
    const child = spawn(process.execPath, [join(ROOT, COMMAND), ...args], {
      cwd: this.folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => (text += part));
    }
    const ended = new Promise<EndedCommand>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, text }));
    });
    return { child, ended };
  }
}
