import { createHash } from 'node:crypto';

/** Who is charged for a call. */
export interface Caller {
  readonly userId: string;
  /** Undefined if the call came without a key. */
  readonly apiKeyId: string | undefined;
}

/**
 * Tells the caller by the `user` of the body, else by the Bearer key, else `anonymous`. Of the key
 * only a fingerprint is kept: a ledger is no place for secrets.
 */
export function identifyCaller(user: string | undefined, authorization?: string): Caller {
  const key = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  const apiKeyId =
    key === undefined
      ? undefined
      : `key_${createHash('sha256').update(key).digest('hex').slice(0, 24)}`;
  return { userId: user ?? apiKeyId ?? 'anonymous', apiKeyId };
}
