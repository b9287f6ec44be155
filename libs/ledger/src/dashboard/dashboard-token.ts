import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** The parameter in the link to a dashboard without guards. @internal */
export const TOKEN_PARAMETER = 'ledger-token';
/** Keeps the link the same after a restart of the process. @internal */
export const TOKEN_VARIABLE = 'LEDGER_DASHBOARD_TOKEN';
/** 192 bits can't be guessed. */
const TOKEN_BYTES = 24;
const TOKEN = /^[\w-]{16,256}$/;

/**
 * The secret of one dashboard without guards: made when the application starts, or set in the
 * environment.
 *
 * @internal
 */
export class DashboardToken {
  /** Letters, digits, `_` and `-`, so that it needs no encoding in an address and a cookie. */
  readonly value: string;
  /** A different name for each token, because all ports of a host share cookies. */
  readonly #cookie: string;

  /**
   * @param given the variable's value; unset or empty: a new token
   * @throws Error, without the value, if it is too short or has other characters
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

  /** Whether the address contains it. */
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
   * @param isEncrypted whether the request used TLS
   */
  cookieFor(path: string, isEncrypted: boolean): string {
    // `Lax`: a web-based terminal opens this page with a link from another site.
    const attributes = `Path=${path}; HttpOnly; SameSite=Lax`;
    return `${this.#cookie}=${this.value}; ${attributes}${isEncrypted ? '; Secure' : ''}`;
  }

  /** Digests have equal length, so that the comparison takes constant time. */
  #is(given: string): boolean {
    return timingSafeEqual(digest(given), digest(this.value));
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
