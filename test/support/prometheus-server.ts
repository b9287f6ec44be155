import { findFreePort } from '@app/embedded-postgres';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const START_LIMIT_MS = 20_000;

/** Whether Prometheus and its promtool are installed; Debian's package `prometheus` has both. */
export const HAS_PROMETHEUS = ['prometheus', 'promtool'].every((program) => {
  return spawnSync(program, ['--version']).status === 0;
});

/** A series and its value at one moment, as the query API answers. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/** A real Prometheus that scrapes one target each second, as long as a test takes. */
export class PrometheusServer {
  private constructor(
    private readonly url: string,
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {}

  /**
   * @param target `host:port`
   * @param ruleFiles absolute paths
   */
  static async start(target: string, ruleFiles: readonly string[]): Promise<PrometheusServer> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-prometheus-'));
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: ruleFiles,
      scrape_configs: [{ job_name: 'ledger-gateway', static_configs: [{ targets: [target] }] }],
    };
    // JSON is YAML too.
    await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
    const listen = `127.0.0.1:${await findFreePort()}`;
    const options = [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${listen}`,
    ];
    const child = spawn('prometheus', options, { stdio: 'ignore' });
    const server = new PrometheusServer(`http://${listen}`, child, folder);
    await server.until('it is ready', async () => {
      const response = await fetch(`http://${listen}/-/ready`).catch(() => undefined);
      return response?.status === 200 ? true : undefined;
    });
    return server;
  }

  /** @throws Error with what Prometheus says of an expression that it can't evaluate */
  async query(expression: string): Promise<Sample[]> {
    const query = `query?query=${encodeURIComponent(expression)}`;
    return (await this.get<{ result: Sample[] }>(query)).result;
  }

  /** What an endpoint of the API answers, without its envelope. */
  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.url}/api/v1/${path}`);
    const { data, error } = (await response.json()) as { data: T; error?: string };
    if (error !== undefined) throw new Error(`${path}: ${error}`);
    return data;
  }

  /** Asks again until there is something. @throws Error if that takes too long */
  async until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    for (const deadline = Date.now() + START_LIMIT_MS; Date.now() < deadline; await delay(100)) {
      const found = await look();
      if (found !== undefined) return found;
    }
    throw new Error(`not within ${START_LIMIT_MS} ms: ${what}`);
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}
