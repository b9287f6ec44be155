import { isIP } from 'node:net';

/** Addresses of this machine alone. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i;

/** Whether a server that listens on this host is reachable from this machine only. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/**
 * Whether a request's `Host` can't be a foreign name for this address. A page of `evil.example` may
 * let its name point here, and its visitor's browser then considers the gateway a part of that
 * page; such a request has the page's name. Addresses and `localhost` can't be assigned.
 *
 * @param allowed other names of this gateway, in lower case
 */
export function isOwnHost(header: string | undefined, allowed: readonly string[]): boolean {
  // Only HTTP/1.0 has no `Host`, and no browser uses it.
  if (header === undefined) return true;
  const name = /^(\[[^\]]+\]|[^:]+)(:\d{1,5})?$/.exec(header.trim())?.[1]?.toLowerCase();
  if (name === undefined) return false;
  const plain = name.replace(/\.$/, '');
  if (plain === 'localhost' || plain.endsWith('.localhost') || allowed.includes(plain)) return true;
  return isIP(plain.replace(/^\[|\]$/g, '')) !== 0;
}
