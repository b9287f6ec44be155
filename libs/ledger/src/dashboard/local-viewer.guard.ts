import { CanActivate, ExecutionContext, Injectable, NotFoundException } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/** Headers that a proxy or a tunnel leaves behind, whatever it was. */
const FORWARDING =
  /^(forwarded|via|x-forwarded(-.+)?|x-original-.+|.*-(client|real|connecting)-ip)$/;

/**
 * Keeps a dashboard without guards to the developer in front of the machine: anyone else is told
 * that there is nothing here. Lets a request through outside production (`NODE_ENV`) only, and only
 * if it came over loopback, through no proxy, and to a name that means this machine: another name
 * that resolves to it would be a web page's way around the same-origin policy.
 *
 * @internal
 */
@Injectable()
export class LocalViewerGuard implements CanActivate {
  /** @throws NotFoundException, worded as for an address that doesn't exist */
  canActivate(context: ExecutionContext): boolean {
    const given = context.switchToHttp().getRequest<IncomingMessage & { raw?: IncomingMessage }>();
    const request = given.raw ?? given;
    if (process.env['NODE_ENV'] !== 'production' && isLocal(request)) return true;
    throw new NotFoundException(`Cannot ${request.method} ${given.url}`);
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

function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/** @param host with or without a port */
function isLocalName(host: string): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || isLoopback(name);
}
