import { z } from 'zod';

/** A variable that is set to nothing counts as not set. */
const unsetIfEmpty = (value: unknown): unknown => (value === '' ? undefined : value);

const schema = z.object({
  PORT: z.preprocess(unsetIfEmpty, z.coerce.number().int().min(0).max(65_535).default(3000)),
  HOST: z.preprocess(unsetIfEmpty, z.string().default('0.0.0.0')),
  DATABASE_URL: z.preprocess(unsetIfEmpty, z.string().optional()),
  LEDGER_DATABASE_URL: z.preprocess(unsetIfEmpty, z.string().optional()),
  DATA_DIR: z.preprocess(unsetIfEmpty, z.string().default('.data')),
  LOOPBACK_TOKEN_MS: z.preprocess(
    unsetIfEmpty,
    z.coerce.number().int().min(0).max(60_000).default(0),
  ),
});

/** What the gateway takes from its environment; the ledger reads its own settings. */
export interface GatewaySettings {
  /** 0 to 65,535; 0 is any free port. Default 3000. */
  readonly port: number;
  /** Address to listen on. Default: every IPv4 address of the machine. */
  readonly host: string;
  /** Undefined: start an embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** Where an embedded PostgreSQL keeps its data. Default `.data`. */
  readonly dataDir: string;
  /** Milliseconds that the loopback provider takes for a token. 0 to 60,000; default 0. */
  readonly loopbackTokenMs: number;
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
  return {
    port: data.PORT,
    host: data.HOST,
    databaseUrl: data.LEDGER_DATABASE_URL ?? data.DATABASE_URL,
    dataDir: data.DATA_DIR,
    loopbackTokenMs: data.LOOPBACK_TOKEN_MS,
  };
}
