import { isIP } from 'node:net';

/** Addresses of this machine alone. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i;

/** Whether only this machine reaches a server that listens there. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/**
 * Whether a request's `Host` can't be a name that somebody else gave this address. A page of
 * `evil.example` may let its name point here, and its visitor's browser then takes the gateway for a
 * part of that page; such a request carries the page's name. Addresses and `localhost` are no one's
 * to give.
 *
 * @param allowed other names of this gateway, in small letters
 */
export function isOwnHost(header: string | undefined, allowed: readonly string[]): boolean {
  // Only HTTP/1.0 comes without one, and no browser speaks it.
  if (header === undefined) return true;
  const name = /^(\[[^\]]+\]|[^:]+)(:\d{1,5})?$/.exec(header.trim())?.[1]?.toLowerCase();
  if (name === undefined) return false;
  const plain = name.replace(/\.$/, '');
  if (plain === 'localhost' || plain.endsWith('.localhost') || allowed.includes(plain)) return true;
  return isIP(plain.replace(/^\[|\]$/g, '')) !== 0;
}
