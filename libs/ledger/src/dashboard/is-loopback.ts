import { isIP } from 'node:net';

/** Whether an address is of the machine itself; an IPv4 one may be written as IPv6. @internal */
export function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}
