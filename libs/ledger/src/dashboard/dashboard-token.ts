import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** The parameter of the link that opens a dashboard without guards. @internal */
export const TOKEN_PARAMETER = 'ledger-token';
/** Keeps the link the same when the process starts again. @internal */
export const TOKEN_VARIABLE = 'LEDGER_DASHBOARD_TOKEN';
/** Nobody guesses 192 bits. */
const TOKEN_BYTES = 24;
const TOKEN = /^[\w-]{16,256}$/;

/**
 * The secret of one dashboard without guards: made when the application starts, or given by the
 * environment.
 *
 * @internal
 */
export class DashboardToken {
  /** Letters, digits, `_` and `-`, so that it fits into an address and a cookie as it is. */
  readonly value: string;
  /** Of its own for each token: cookies of one host are shared by all its ports. */
  readonly #cookie: string;

  /**
   * @param given the variable's value; unset or empty: a new token
   * @throws Error if it is too short or has other characters; never with the value
   */
  constructor(given: string | undefined) {
    if (given && !TOKEN.test(given)) {
      throw new Error(
        `${TOKEN_VARIABLE} must have 16 to 256 characters of A-Z, a-z, 0-9, _ and -. ` +
          'Make one with `openssl rand -hex 24`, or unset it: each start then makes its own.',
      );
    }
    this.value = given || randomBytes(TOKEN_BYTES).toString('base64url');
    this.#cookie = `nestjs-ledger-${digest(this.value).toString('hex').slice(0, 12)}`;
  }

  /** Whether the address has it. */
  isInQuery(address: string): boolean {
    const query = new URLSearchParams(/^[^?#]*\?([^#]*)/.exec(address)?.[1]);
    return query.getAll(TOKEN_PARAMETER).some((each) => this.#is(each));
  }

  /** @param cookies the request's header */
  isInCookies(cookies: string | undefined): boolean {
    return (cookies ?? '').split(';').some((pair) => {
      const [name, ...value] = pair.trim().split('=');
      return name === this.#cookie && this.#is(value.join('='));
    });
  }

  /**
   * A cookie for the page and its events, until the browser is closed.
   *
   * @param path of the page
   * @param isEncrypted whether the request came over TLS
   */
  cookieFor(path: string, isEncrypted: boolean): string {
    // `Lax`: a link in a terminal that is a page itself opens this one from another site.
    const attributes = `Path=${path}; HttpOnly; SameSite=Lax`;
    return `${this.#cookie}=${this.value}; ${attributes}${isEncrypted ? '; Secure' : ''}`;
  }

  /** Digests are of one length, so that the comparison takes the same time for all. */
  #is(given: string): boolean {
    return timingSafeEqual(digest(given), digest(this.value));
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
