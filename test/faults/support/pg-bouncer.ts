import { chooseServerAccount, findFreePort } from '@app/embedded-postgres';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Debian puts it where only root looks. */
const PROGRAMS = ['pgbouncer', '/usr/sbin/pgbouncer'];
const START_TIMEOUT_MS = 20_000;

/** The program, if it is installed. */
export const PG_BOUNCER = PROGRAMS.find((program) => {
  return spawnSync(program, ['--version']).status === 0;
});

/** PgBouncer; in transaction mode statements of one client go to any of several backends. */
export class PgBouncer {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {}

  /**
   * @param poolSize connections to the server
   * @param users passwords by name; default: everybody is the user of `databaseUrl`
   * @param poolMode how long a client keeps a connection to the server
   */
  static async start(
    databaseUrl: string,
    poolSize: number,
    users?: Readonly<Record<string, string>>,
    poolMode: 'transaction' | 'session' | 'statement' = 'transaction',
  ): Promise<PgBouncer> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-bouncer-'));
    const account = await chooseServerAccount(folder);
    const port = await findFreePort();
    const { hostname, port: serverPort, username, password } = new URL(databaseUrl);
    const config = join(folder, 'pgbouncer.ini');
    const userList = join(folder, 'users.txt');
    const pidFile = join(folder, 'pgbouncer.pid');
    const login = users ? '' : ` user=${username} password=${password}`;
    const lines = [
      '[databases]',
      `* = host=${hostname} port=${serverPort}${login}`,
      '[pgbouncer]',
      ...[`listen_addr = 127.0.0.1`, `listen_port = ${port}`, 'unix_socket_dir ='],
      ...(users ? ['auth_type = trust', `auth_file = ${userList}`] : ['auth_type = any']),
      ...[`pool_mode = ${poolMode}`, `default_pool_size = ${poolSize}`],
      // Back at once when the server is: a person would wait for the default of 15 s.
      ...['server_login_retry = 1', 'ignore_startup_parameters = extra_float_digits'],
      `pidfile = ${pidFile}`,
    ];
    await writeFile(config, `${lines.join('\n')}\n`, { mode: 0o600 });
    const names = Object.entries(users ?? {}).map(([name, secret]) => `"${name}" "${secret}"\n`);
    await writeFile(userList, names.join(''), { mode: 0o600 });
    await chmod(folder, 0o700);
    if (account) {
      for (const path of [folder, config, userList]) await chown(path, account.uid, account.gid);
    }
    const child = spawn(PG_BOUNCER!, ['--quiet', config], {
      ...account,
      cwd: '/',
      stdio: 'ignore',
    });
    const url = new URL(databaseUrl);
    url.port = String(port);
    const bouncer = new PgBouncer(url.href, child, folder);
    try {
      await waitUntilItListens(child, pidFile);
    } catch (error) {
      await bouncer.dispose();
      throw error;
    }
    return bouncer;
  }

  /** Leads new transactions to another server, as an operator does after a promotion. */
  async leadTo(databaseUrl: string): Promise<void> {
    const config = join(this.folder, 'pgbouncer.ini');
    const { hostname, port } = new URL(databaseUrl);
    const lines = (await readFile(config, 'utf8')).replace(
      /^(\* = )host=\S+ port=\S+/m,
      `$1host=${hostname} port=${port}`,
    );
    await writeFile(config, lines);
    this.child.kill('SIGHUP');
  }

  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL');
      await once(this.child, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Waits for the pid file, written once it listens: an answer on the port may be another process's. */
async function waitUntilItListens(child: ChildProcess, pidFile: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!existsSync(pidFile)) {
    const { exitCode, signalCode } = child;
    const end = exitCode ?? signalCode;
    if (end !== null) throw new Error(`PgBouncer ended by ${end}: its port may be taken`);
    if (performance.now() > deadline) throw new Error('PgBouncer did not start in time');
    await delay(20);
  }
}
