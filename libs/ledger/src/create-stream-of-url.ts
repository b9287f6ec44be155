import { parseNatsUrl } from './nats/parse-nats-url.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';

/** Beginnings of addresses, and what opens them. An engine is loaded only where an address names it. */
const ENGINES: readonly {
  readonly protocols: readonly string[];
  readonly open: (url: string) => Promise<LedgerStream>;
}[] = [{ protocols: ['nats', 'tls'], open: openNats }];

/**
 * The stream of an address, not connected yet.
 *
 * @throws RangeError with the rule that the address breaks, without the address; the error of Node if the
 * engine's client is not installed
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
  const { jetStream } = (await import(
    /* @vite-ignore */ NATS
  )) as typeof import('./nats/create-jet-stream.js');
  return jetStream(options);
}
