import { openAiError } from '@app/openai';
import type { FastifyInstance } from 'fastify';
import { isOwnHost } from './host-check.js';

/**
 * Refuses with 403 what the page of another site makes a browser send: requests to a name that is not
 * this gateway's, and such as change something and come from elsewhere. For a gateway without keys,
 * which knows nobody by anything that a page can't have.
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
