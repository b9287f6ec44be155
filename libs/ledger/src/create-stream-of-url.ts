import { checkNodeVersion } from './kafka/check-node-version.js';
import { parseKafkaUrl } from './kafka/parse-kafka-url.js';
import { parseNatsUrl } from './nats/parse-nats-url.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';

/** Opens the addresses of one engine. An engine is loaded only if an address names it. */
interface Engine {
  readonly protocols: readonly string[];
  /** Packages of its client. */
  readonly client: string;
  /** @throws RangeError */
  readonly open: (url: string) => Promise<LedgerStream>;
}

const ENGINES: readonly Engine[] = [
  {
    protocols: ['nats', 'tls'],
    client: '@nats-io/transport-node @nats-io/jetstream',
    open: openNats,
  },
  { protocols: ['kafka'], client: '@platformatic/kafka', open: openKafka },
];

/**
 * Assembled at run time, so that bundlers ignore them. An application without an engine has no client to bundle.
 */
const [NATS, KAFKA] = ['nats', 'kafka'].map((engine) => ['nestjs-ledger', engine].join('/'));

/**
 * Creates the stream of an address, not connected yet.
 *
 * @throws RangeError with the rule that the address breaks, also if its client is not installed or needs another
 * version of Node.js; without the address, which may hold a password
 * @internal
 */
export async function createStreamOfUrl(url: string): Promise<LedgerStream> {
  const protocol = /^(\w+):\/\//.exec(url)?.[1];
  const engine = ENGINES.find(({ protocols }) => protocols.includes(protocol ?? ''));
  if (engine === undefined) {
    const known = ENGINES.flatMap(({ protocols }) => protocols).map((each) => `${each}://`);
    throw new RangeError(`must begin with ${known.slice(0, -1).join(', ')} or ${known.at(-1)}`);
  }
  try {
    return await engine.open(url);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    const text = `needs the client of its stream: npm install ${engine.client}`;
    throw new RangeError(text, { cause: error });
  }
}

async function openNats(url: string): Promise<LedgerStream> {
  const options = parseNatsUrl(url);
  const { jetStream } = (await import(
    /* @vite-ignore */ NATS!
  )) as typeof import('./nats/create-jet-stream.js');
  return jetStream(options);
}

async function openKafka(url: string): Promise<LedgerStream> {
  const options = parseKafkaUrl(url);
  try {
    // Before its client is loaded, which may not even start on an older version.
    checkNodeVersion(process.versions.node);
  } catch (error) {
    throw new RangeError(`can't be used here: ${(error as Error).message}`, { cause: error });
  }
  const { kafkaStream } = (await import(
    /* @vite-ignore */ KAFKA!
  )) as typeof import('./kafka/create-kafka-stream.js');
  return kafkaStream(options);
}
