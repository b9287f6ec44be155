import { describe, expect, it } from 'vitest';
import { findCaller, identifyCaller, parseApiKeys } from './caller.js';

const bearer = (authorization: string | undefined) => ({ authorization });

describe('identifyCaller', () => {
  it('takes the user of the body before the key', () => {
    const caller = identifyCaller('alice', bearer('Bearer sk-secret'));
    expect(caller.userId).toBe('alice');
    expect(caller.apiKeyId).toMatch(/^key_[0-9a-f]{24}$/);
  });

  it('knows a user by the key alone, and never gives the key away', () => {
    const caller = identifyCaller(undefined, bearer('bearer sk-secret'));
    expect(caller.userId).toBe(caller.apiKeyId);
    expect(caller).toEqual(identifyCaller(undefined, { 'api-key': 'sk-secret' }));
    expect(caller).not.toEqual(identifyCaller(undefined, bearer('Bearer sk-other')));
    expect(JSON.stringify(caller)).not.toContain('secret');
  });

  it.each([undefined, '', 'Basic abc', 'Bearer '])('calls it anonymous with %j', (header) => {
    expect(identifyCaller(undefined, bearer(header))).toEqual({
      userId: 'anonymous',
      apiKeyId: undefined,
    });
  });
});

describe('findCaller', () => {
  const keys = parseApiKeys('alice:laptop:sk-alice-0123456789, bob:ci:sk-bob-0123456789:x') ?? [];

  it('knows a user and a key id by the key, and keeps no key', () => {
    expect(findCaller(keys, bearer('Bearer sk-alice-0123456789'))).toEqual({
      userId: 'alice',
      apiKeyId: 'laptop',
    });
    expect(findCaller(keys, { 'api-key': 'sk-bob-0123456789:x' })?.userId).toBe('bob');
    expect(JSON.stringify(keys)).not.toContain('sk-');
  });

  it.each([undefined, '', 'Bearer ', 'Bearer sk-alice-012345678', 'sk-alice-0123456789'])(
    'knows nobody by %j',
    (header) => {
      expect(findCaller(keys, bearer(header))).toBeUndefined();
    },
  );
});
