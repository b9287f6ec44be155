import { parseNatsUrl } from './nats/parse-nats-url.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';

/** What is said where an engine can't be loaded. */
const NO_CLIENT =
  'needs the client of its stream: npm install @nats-io/transport-node @nats-io/jetstream';

/** Beginnings of addresses, and what opens them. An engine is loaded only where an address names it. */
const ENGINES: readonly {
  readonly protocols: readonly string[];
  readonly open: (url: string) => Promise<LedgerStream>;
}[] = [{ protocols: ['nats', 'tls'], open: openNats }];

/**
 * The stream of an address, not connected yet.
 *
 * @throws RangeError with the rule that the address breaks, also if its client is not installed; without the
 * address, which may hold a password
 * @internal
 */
export async function createStreamOfUrl(url: string): Promise<LedgerStream> {
  const protocol = /^(\w+):\/\//.exec(url)?.[1];
  const engine = ENGINES.find(({ protocols }) => protocols.includes(protocol ?? ''));
  if (engine !== undefined) return engine.open(url);
  const known = ENGINES.flatMap(({ protocols }) => protocols).map((each) => `${each}://`);
  throw new RangeError(`must begin with ${known.join(' or ')}`);
}

/** Put together, so that bundlers leave it alone: an application without this engine has no client to bundle. */
const NATS = ['nestjs-ledger', 'nats'].join('/');

async function openNats(url: string): Promise<LedgerStream> {
  const options = parseNatsUrl(url);
  const { jetStream } = await load();
  return jetStream(options);
}

async function load(): Promise<typeof import('./nats/create-jet-stream.js')> {
  try {
    return (await import(/* @vite-ignore */ NATS)) as typeof import('./nats/create-jet-stream.js');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw new RangeError(NO_CLIENT, { cause: error });
  }
}
