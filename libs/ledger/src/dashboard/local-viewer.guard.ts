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

/** Headers that a proxy or a tunnel leaves behind, whatever it was. */
const FORWARDING =
  /^(forwarded|via|x-forwarded(-.+)?|x-original-.+|.*-(client|real|connecting)-ip)$/;

/** Express's response, or Fastify's reply, of which only the second has `raw`. */
interface Answer {
  append?(name: string, value: string): unknown;
  /** Fastify's: of this name it adds. */
  header(name: string, value: string): unknown;
  readonly raw?: ServerResponse;
}

/**
 * Keeps a dashboard without guards to the developer in front of the machine: anyone else is told
 * that there is nothing here. Lets a request through outside production (`NODE_ENV`) only, and only
 * with the token of the link in the log, in the address or in the cookie that the address leaves.
 * A plain proxy on the machine looks like its user, so nothing less does. Besides, the request must
 * come over loopback, through no proxy that says so, and to a name that means this machine: a log
 * may be read by others.
 *
 * @internal
 */
@Injectable()
export class LocalViewerGuard implements CanActivate {
  constructor(@Inject(DashboardToken) private readonly token: DashboardToken) {}

  /** @throws NotFoundException, worded as for an address that doesn't exist */
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
    // What could end the attribute is in no path that a route has.
    const cookie = this.token.cookieFor(/^[\w\-.~%/]+$/.test(page) ? page : '/', isEncrypted);
    if (answer.append) {
      answer.append('Set-Cookie', cookie);
      return;
    }
    // Fastify's own take the place of those that a middleware has put on the raw answer.
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
