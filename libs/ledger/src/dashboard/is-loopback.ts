import { isIP } from 'node:net';

/**
 * Whether an address belongs to the machine itself; an IPv4 address may be in IPv6 form.
 *
 * @internal
 */
export function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}
