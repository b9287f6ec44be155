import { findFreePort } from '@app/embedded-postgres';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TSC = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const START_LIMIT_MS = 20_000;
const run = promisify(execFile);

/** What `nest new` writes, made stricter; the library's own types are checked too. */
export const APP_TSCONFIG = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    strict: true,
    isolatedModules: true,
    esModuleInterop: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    skipLibCheck: true,
    types: ['node'],
    outDir: 'dist',
    rootDir: '.',
  },
  include: ['*.ts'],
};

/** Builds library and gateway if that is due, so that `nestjs-ledger` resolves. */
export async function buildIfStale(): Promise<void> {
  await run(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
}

/**
 * Compiles a project.
 *
 * @param project a folder, or the path of a tsconfig
 * @param folder where the compiler runs; default: the project
 * @throws Error that holds what the compiler says
 */
export async function compileProject(project: string, folder = project): Promise<void> {
  await run(process.execPath, [TSC, '-p', project], { cwd: folder }).catch(
    (error: { stdout?: string; message: string }) => {
      throw new Error(error.stdout || error.message);
    },
  );
}

/** An application in a separate process, listening on the port in `PORT`. */
export class ExampleApp {
  private said = '';
  private readonly exited: Promise<unknown[]>;

  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {
    this.exited = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    }
  }

  /**
   * Starts it and waits until it answers.
   *
   * @param folder where it runs; spill files go below it
   * @param script path from there
   * @param environment added to a clean one
   * @throws Error with its output if it ends or takes too long
   */
  static async start(
    folder: string,
    script: string,
    environment: Record<string, string>,
  ): Promise<ExampleApp> {
    const port = await findFreePort();
    const { PATH, HOME, TMPDIR } = process.env;
    const child = spawn(process.execPath, [script], {
      cwd: folder,
      env: { PATH, HOME, TMPDIR, PORT: String(port), NO_COLOR: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const app = new ExampleApp(child, `http://127.0.0.1:${port}`);
    await app.answering();
    return app;
  }

  private async answering(): Promise<void> {
    for (const deadline = Date.now() + START_LIMIT_MS; Date.now() < deadline; await delay(50)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) break;
      const response = await fetch(this.url).catch(() => undefined);
      if (response) return;
    }
    await this.kill();
    throw new Error(`the application does not answer:\n${this.said}`);
  }

  /** Sends SIGTERM and waits for the end. @returns everything that it wrote */
  async terminate(): Promise<string> {
    this.child.kill('SIGTERM');
    await this.exited;
    return this.said;
  }

  /** For the end of a test; nothing happens if it is over already. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}
