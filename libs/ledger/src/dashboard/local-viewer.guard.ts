import {
  CanActivate,
  ExecutionContext,
  Inject,
  Injectable,
  NotFoundException,
} from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { DashboardToken } from './dashboard-token.js';
import { isLoopback } from './is-loopback.js';

/** Headers of any proxy or tunnel. */
const FORWARDING =
  /^(forwarded|via|x-forwarded(-.+)?|x-original-.+|.*-(client|real|connecting)-ip)$/;

/** Express's response, or Fastify's reply; only the latter has `raw`. */
interface Answer {
  append?(name: string, value: string): unknown;
  /** Fastify's `header` appends for this name. */
  header(name: string, value: string): unknown;
  readonly raw?: ServerResponse;
}

/**
 * Restricts a dashboard without guards to the developer at the machine; anybody else gets the
 * answer for an unknown address. A request is admitted only outside production (`NODE_ENV`), and
 * only with the token of the link in the log, in the address or in the cookie set by that address.
 * The token is necessary because a plain proxy on the machine looks like its user. The request must
 * also use loopback, no proxy that identifies itself, and a host name of this machine, because
 * others may read the log.
 *
 * @internal
 */
@Injectable()
export class LocalViewerGuard implements CanActivate {
  constructor(@Inject(DashboardToken) private readonly token: DashboardToken) {}

  /** @throws NotFoundException, with the same text as for an unknown address */
  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const given = http.getRequest<IncomingMessage & { raw?: IncomingMessage }>();
    const request = given.raw ?? given;
    if (process.env['NODE_ENV'] !== 'production' && isLocal(request)) {
      if (this.token.isInCookies(request.headers.cookie)) return true;
      if (this.token.isInQuery(request.url ?? '')) {
        this.#leaveCookie(request, http.getResponse<Answer>());
        return true;
      }
    }
    throw new NotFoundException(`Cannot ${request.method} ${given.url}`);
  }

  #leaveCookie(request: IncomingMessage & { originalUrl?: string }, answer: Answer): void {
    const isEncrypted = (request.socket as Partial<TLSSocket>).encrypted === true;
    const path = (request.originalUrl ?? request.url ?? '').replace(/[?#].*/s, '');
    const page = path.replace(/(\/ledger-events)?\/*$/, '');
    // The path of a route never contains a character that could end the attribute.
    const cookie = this.token.cookieFor(/^[\w\-.~%/]+$/.test(page) ? page : '/', isEncrypted);
    if (answer.append) {
      answer.append('Set-Cookie', cookie);
      return;
    }
    // Fastify's cookies replace those that a middleware set on the raw answer.
    const others = [answer.raw?.getHeader('set-cookie') ?? []].flat();
    for (const each of [...others, cookie]) answer.header('Set-Cookie', String(each));
  }
}

function isLocal({ socket, headers }: IncomingMessage): boolean {
  const names = Object.keys(headers);
  return (
    isLoopback(socket.remoteAddress ?? '') &&
    isLocalName(headers.host ?? (headers[':authority'] as string | undefined) ?? '') &&
    !names.some((name) => FORWARDING.test(name))
  );
}

/** @param host with or without a port */
function isLocalName(host: string): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || isLoopback(name);
}
