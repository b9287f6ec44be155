import { spawnSync } from 'node:child_process';
import type { ServerPlace } from '../../../libs/ledger/src/stream/fixtures/server-processes.fixture.js';

/** Names of links have 15 letters at most. */
const NAME = `lg${process.pid % 1_000_000}`;

/**
 * A network namespace for each server, all on one bridge, so that one can be cut off from the others and from
 * all clients while it lives. Needs root.
 */
export class BrokerNetwork {
  readonly places: readonly ServerPlace[];

  private constructor(count: number, subnet: string) {
    this.places = Array.from({ length: count }, (_, i) => ({
      host: `${subnet}.${10 + i}`,
      inside: ['ip', 'netns', 'exec', `${NAME}n${i}`],
    }));
  }

  /** Whether namespaces can be made here. */
  static isAvailable(): boolean {
    if (process.getuid?.() !== 0) return false;
    const probe = `${NAME}p`;
    const made = spawnSync('ip', ['netns', 'add', probe]).status === 0;
    return made && spawnSync('ip', ['netns', 'delete', probe]).status === 0;
  }

  /** @throws Error with what `ip` said; nothing is left then */
  static create(count: number): BrokerNetwork {
    // Of the range for benchmarks of networks (RFC 2544), which no host uses.
    const subnet = `198.18.${process.pid % 250}`;
    const network = new BrokerNetwork(count, subnet);
    try {
      ip('link', 'add', `${NAME}b`, 'type', 'bridge');
      ip('addr', 'add', `${subnet}.1/24`, 'dev', `${NAME}b`);
      ip('link', 'set', `${NAME}b`, 'up');
      for (const [i, { host }] of network.places.entries()) network.#add(i, host);
      return network;
    } catch (error) {
      network.dispose();
      throw error;
    }
  }

  #add(index: number, host: string): void {
    const [space, outer, inner] = ['n', 'o', 'i'].map((kind) => `${NAME}${kind}${index}`);
    ip('netns', 'add', space!);
    ip('link', 'add', outer!, 'type', 'veth', 'peer', 'name', inner!, 'netns', space!);
    ip('link', 'set', outer!, 'master', `${NAME}b`, 'up');
    ip('-n', space!, 'addr', 'add', `${host}/24`, 'dev', inner!);
    ip('-n', space!, 'link', 'set', inner!, 'up');
    ip('-n', space!, 'link', 'set', 'lo', 'up');
  }

  /** Nothing gets to a server any more, nor from it; its sockets stay open. */
  cut(index: number): void {
    ip('link', 'set', `${NAME}o${index}`, 'down');
  }

  heal(index: number): void {
    ip('link', 'set', `${NAME}o${index}`, 'up');
  }

  /** Removes what was made; the servers have ended. Never throws. */
  dispose(): void {
    for (const i of this.places.keys()) spawnSync('ip', ['netns', 'delete', `${NAME}n${i}`]);
    spawnSync('ip', ['link', 'delete', `${NAME}b`]);
  }
}

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}
