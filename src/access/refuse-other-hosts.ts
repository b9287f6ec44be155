import { openAiError } from '@app/openai';
import type { FastifyInstance } from 'fastify';
import { isOwnHost } from './host-check.js';

/**
 * Refuses with 403 requests that another site's page makes a browser send: requests to a foreign
 * name, and those from another origin that change something. For a gateway without keys, which has
 * no other way to distinguish callers from pages.
 */
export function refuseOtherHosts(server: FastifyInstance, allowed: readonly string[]): void {
  server.addHook('onRequest', async ({ method, headers }, reply) => {
    const { host, origin } = headers;
    const isRead = method === 'GET' || method === 'HEAD';
    const isOwn = isOwnHost(host, allowed) && (isRead || isSameSite(origin, host));
    if (isOwn) return;
    const message =
      'This gateway has no keys, and takes requests to localhost, to an address, and to the names ' +
      'in GATEWAY_HOSTS; none that a page of another site makes.';
    return reply.status(403).send(openAiError(message, { code: 'host_not_allowed' }));
  });
}

/** Only browsers send an origin, and only for scripts and forms. */
function isSameSite(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
