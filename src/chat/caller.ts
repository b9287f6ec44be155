import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';

/** Who is charged for a call. */
export interface Caller {
  readonly userId: string;
  /** Undefined if the call came without a key. */
  readonly apiKeyId: string | undefined;
}

/** A key that the gateway takes. */
export interface ApiKey extends Caller {
  /** SHA-256 of the key: what is compared has one length, and the key itself is not kept. */
  readonly digest: Buffer;
}

/** A request below `/v1/`, whose caller is known if the gateway has keys. */
export type CallersRequest = FastifyRequest & { caller?: Caller };

const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest();
const bearerOf = (header = ''): string | undefined => /^Bearer +(\S+)$/i.exec(header)?.[1];

/**
 * Reads `user:keyId:key`, several of them with commas between.
 *
 * @returns undefined if one is not of this form, is shorter than 16 characters, or is there twice
 */
export function parseApiKeys(text: string): readonly ApiKey[] | undefined {
  const keys: ApiKey[] = [];
  for (const each of text.split(',').map((part) => part.trim())) {
    const [, userId, apiKeyId, key] = /^([^:]{1,64}):([^:]{1,64}):(\S{16,})$/.exec(each) ?? [];
    if (!userId || !apiKeyId || !key) return undefined;
    keys.push({ userId, apiKeyId, digest: digestOf(key) });
  }
  const isUnique = (of: (key: ApiKey) => unknown) => new Set(keys.map(of)).size === keys.length;
  return isUnique((key) => key.apiKeyId) && isUnique((key) => key.digest.toString('hex'))
    ? keys
    : undefined;
}

/** Finds whose key a request carries. Looks at all keys, so that its time tells nothing of them. */
export function findCaller(keys: readonly ApiKey[], authorization?: string): Caller | undefined {
  const digest = digestOf(bearerOf(authorization) ?? '');
  const [found] = keys.filter((key) => timingSafeEqual(key.digest, digest));
  return found && { userId: found.userId, apiKeyId: found.apiKeyId };
}

/**
 * Without keys the gateway believes what it is told: the `user` of the body, else a fingerprint of
 * the Bearer key, else `anonymous`. A ledger is no place for secrets.
 */
export function identifyCaller(user: string | undefined, authorization?: string): Caller {
  const key = bearerOf(authorization);
  const apiKeyId = key === undefined ? undefined : `key_${digestOf(key).toString('hex', 0, 12)}`;
  return { userId: user ?? apiKeyId ?? 'anonymous', apiKeyId };
}
