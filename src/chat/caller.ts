import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';

/** The charged user and key of a call. */
export interface Caller {
  readonly userId: string;
  /** Undefined if the call came without a key. */
  readonly apiKeyId: string | undefined;
}

/** A valid key of the gateway. */
export interface ApiKey extends Caller {
  /** SHA-256 of the key: compared values have equal length, and the key itself is not kept. */
  readonly digest: Buffer;
}

/** A request below `/v1/`, whose caller is known if the gateway has keys. */
export type CallersRequest = FastifyRequest & { caller?: Caller };

const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest();

/** The key of a request: a Bearer token, or Azure's header if there is no `authorization`. */
function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const { authorization, 'api-key': apiKey } = headers;
  if (authorization !== undefined) return /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  return typeof apiKey === 'string' && apiKey !== '' ? apiKey : undefined;
}

/**
 * Reads `user:keyId:key`, several of them separated by commas.
 *
 * @returns undefined if one is not of this form, is shorter than 16 characters, or is repeated
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

/** Finds the caller of a request's key. Compares all keys, so that its duration reveals nothing. */
export function findCaller(
  keys: readonly ApiKey[],
  headers: IncomingHttpHeaders,
): Caller | undefined {
  const digest = digestOf(keyOf(headers) ?? '');
  const [found] = keys.filter((key) => timingSafeEqual(key.digest, digest));
  return found && { userId: found.userId, apiKeyId: found.apiKeyId };
}

/**
 * Without keys the gateway trusts the request: the `user` of the body, else a fingerprint of the
 * key, else `anonymous`. A ledger must not contain secrets.
 */
export function identifyCaller(user: string | undefined, headers: IncomingHttpHeaders): Caller {
  const key = keyOf(headers);
  const apiKeyId = key === undefined ? undefined : `key_${digestOf(key).toString('hex', 0, 12)}`;
  return { userId: user ?? apiKeyId ?? 'anonymous', apiKeyId };
}
