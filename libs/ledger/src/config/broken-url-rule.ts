import { hostListRule } from '../postgres/host-list.js';
import { parseAddress } from '../postgres/parse-address.js';

/** The schemes that mean PostgreSQL, and the two forms of a unix socket. */
const POSTGRES_URL = /^(?:postgres(?:ql)?:\/\/.|socket:.|\/.)/i;

/**
 * The rule that a URL breaks. TypeORM and pg would report it later, or never at boot. Every URL
 * that `pg` can read is valid, and so is a list of hosts in libpq's format.
 *
 * @internal
 */
export function brokenUrlRule(url: string): string | undefined {
  if (!POSTGRES_URL.test(url)) return 'must be a URL that begins with postgres:// or postgresql://';
  try {
    return hostListRule(parseAddress(url));
  } catch {
    return 'must be a URL, with special characters of user and password percent-encoded';
  }
}
