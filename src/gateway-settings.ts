import { upstreamApiKey, upstreamBaseUrl } from '@app/openai';
import { z } from 'zod';
import { isLoopback } from './access/host-check.js';
import { parseApiKeys, type ApiKey } from './chat/caller.js';
import { readPriceFile } from './prices/price-file.js';

/** An empty variable counts as not set. */
const setting = <T extends z.ZodType>(rule: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), rule);
const text = setting(z.string().optional());
const wholeNumber = (min: number, max: number, preset: number) =>
  setting(z.coerce.number().int().min(min).max(max).default(preset));

/** Prefixes of paths, separated by commas, or `true` for all. */
const passThrough = z
  .string()
  .regex(
    /^(true|false|(\/[\w./-]*)(, *\/[\w./-]*)*)$/,
    'true, false or paths as /audio/,/moderations',
  )
  .transform((text) => (text === 'false' ? [] : text === 'true' ? ['/'] : text.split(/, */)));

const flag = setting(z.enum(['true', 'false']).default('false')).transform(
  (text) => text === 'true',
);
/** Names separated by commas, in lower case. */
const hosts = setting(z.string().default('')).transform((text) =>
  text
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
);

/** A path to a valid list of prices. */
const priceFile = z.string().superRefine((path, context) => {
  try {
    readPriceFile(path);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    context.addIssue({ code: 'custom', message });
  }
});

const schema = z.object({
  PORT: wholeNumber(0, 65_535, 3000),
  HOST: setting(z.string().optional()),
  DATABASE_URL: text,
  LEDGER_DATABASE_URL: text,
  DATA_DIR: setting(z.string().default('.data')),
  LOOPBACK_TOKEN_MS: wholeNumber(0, 60_000, 0),
  UPSTREAM_BASE_URL: setting(upstreamBaseUrl.optional()),
  UPSTREAM_API_KEY: setting(upstreamApiKey.optional()),
  UPSTREAM_TIMEOUT_MS: wholeNumber(1, 3_600_000, 600_000),
  UPSTREAM_LINGER_MS: wholeNumber(0, 600_000, 2_000),
  UPSTREAM_PASS_THROUGH: setting(passThrough.default([])),
  REQUEST_TIMEOUT_MS: wholeNumber(1, 3_600_000, 60_000),
  CLIENT_TIMEOUT_MS: wholeNumber(1_000, 3_600_000, 60_000),
  MEMORY_IN_FLIGHT_MB: setting(z.coerce.number().int().min(32).max(65_536).optional()),
  GATEWAY_PRICES: setting(priceFile.optional()),
  GATEWAY_OPEN: flag,
  GATEWAY_HOSTS: hosts,
  // An error must not contain a wrong key, so this rule does not show its input.
  GATEWAY_API_KEYS: z.preprocess(
    (given) => (typeof given === 'string' && given !== '' ? parseApiKeys(given) : []),
    z.custom<readonly ApiKey[]>(Array.isArray, 'user:keyId:key (16 or more), all different'),
  ),
});

const EVERYWHERE = '0.0.0.0';
const THIS_MACHINE = '127.0.0.1';

/** Settings of the gateway from its environment; the ledger reads its own settings. */
export interface GatewaySettings {
  /** 0 to 65,535; 0 is any free port. Default 3000. */
  readonly port: number;
  /** Address to listen on. Default: every IPv4 address of the machine; without keys only this machine. */
  readonly host: string;
  /** Undefined: start an embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** Data folder of an embedded PostgreSQL. Default `.data`. */
  readonly dataDir: string;
  /** Milliseconds of the loopback provider for a token. 0 to 60,000; default 0. */
  readonly loopbackTokenMs: number;
  /** Usually includes `/v1`; Azure's contains `?api-version=`. Undefined: the loopback provider. */
  readonly upstreamBaseUrl: string | undefined;
  readonly upstreamApiKey: string | undefined;
  /** Maximum silence of the upstream in milliseconds. 1 to 3,600,000; default 600,000. */
  readonly upstreamTimeoutMs: number;
  /**
   * Milliseconds for which an upstream is read after its client left. 0 to 600,000; default 2,000.
   */
  readonly upstreamLingerMs: number;
  /** Prefixes of paths below `/v1` that are passed through; `/` is all. Default: none. */
  readonly upstreamPassThrough: readonly string[];
  /** Milliseconds for a request to arrive in full. 1 to 3,600,000; default 60,000. */
  readonly requestTimeoutMs: number;
  /** Milliseconds in which a client must read some of the data waiting for it. Default 60,000. */
  readonly clientTimeoutMs: number;
  /**
   * Maximum bytes of bodies and answers in memory, over all callers. Undefined: derived from the
   * heap.
   */
  readonly bytesInFlight: number | undefined;
  /** A file with prices. Undefined: the built-in ones. */
  readonly pricesFile: string | undefined;
  /** Authorised callers. Empty: everybody who can reach the gateway. */
  readonly apiKeys: readonly ApiKey[];
  /** Additional host names of a gateway without keys, besides `localhost` and addresses. */
  readonly hosts: readonly string[];
}

/**
 * Reads the gateway's settings.
 *
 * @throws Error that names every wrong variable
 */
export function readGatewaySettings(environment: NodeJS.ProcessEnv): GatewaySettings {
  const parsed = schema.safeParse(environment);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Error(`wrong settings: ${faults.join('; ')}`);
  }
  const { data } = parsed;
  const host = data.HOST ?? (data.GATEWAY_API_KEYS.length > 0 ? EVERYWHERE : THIS_MACHINE);
  const fault = data.GATEWAY_OPEN ? undefined : opennessOf(data, host);
  if (fault) throw new Error(`wrong settings: ${fault}`);
  return {
    port: data.PORT,
    host,
    databaseUrl: data.LEDGER_DATABASE_URL ?? data.DATABASE_URL,
    dataDir: data.DATA_DIR,
    loopbackTokenMs: data.LOOPBACK_TOKEN_MS,
    upstreamBaseUrl: data.UPSTREAM_BASE_URL,
    upstreamApiKey: data.UPSTREAM_API_KEY,
    upstreamTimeoutMs: data.UPSTREAM_TIMEOUT_MS,
    upstreamLingerMs: data.UPSTREAM_LINGER_MS,
    upstreamPassThrough: data.UPSTREAM_PASS_THROUGH,
    requestTimeoutMs: data.REQUEST_TIMEOUT_MS,
    clientTimeoutMs: data.CLIENT_TIMEOUT_MS,
    bytesInFlight: data.MEMORY_IN_FLIGHT_MB && data.MEMORY_IN_FLIGHT_MB * 1024 * 1024,
    pricesFile: data.GATEWAY_PRICES,
    apiKeys: data.GATEWAY_API_KEYS,
    hosts: data.GATEWAY_HOSTS,
  };
}

/**
 * The reason why a gateway would serve everybody without being configured to. Listening on this
 * machine only is such a configuration, but not with a paid key, unless the address was given.
 */
function opennessOf(data: z.infer<typeof schema>, host: string): string | undefined {
  if (data.GATEWAY_API_KEYS.length > 0) return undefined;
  const remedy = 'set GATEWAY_API_KEYS, or GATEWAY_OPEN=true if that is meant';
  if (!isLoopback(host))
    return `HOST: without keys everybody who reaches ${host} may call; ${remedy}`;
  if (data.UPSTREAM_API_KEY === undefined || data.HOST !== undefined) return undefined;
  return `UPSTREAM_API_KEY: without keys everybody may call with it; ${remedy}, or HOST=${THIS_MACHINE}`;
}
