import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** A call that its handler never heard of. */
export interface RefusedCall {
  readonly request: FastifyRequest;
  /** Status of the answer; 0 if the client left before there was one. */
  readonly status: number;
  /** Whether the connection ended before an answer was sent through the application. */
  readonly isAborted: boolean;
}

/**
 * Calls back once for each call of a route that ends before Nest has it, so that no interceptor and
 * no filter of a controller sees it: a body that is no JSON, too long, too slow, or never there in
 * full. Calls that an earlier `onRequest` hook answers are left out.
 *
 * @param path as the route was declared
 */
export function onRefusedCall(
  server: FastifyInstance,
  path: string,
  callback: (refused: RefusedCall) => void,
): void {
  const closings = new WeakMap<FastifyReply, () => void>();
  server.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.url !== path) return;
    const closed = () => {
      const isAborted = !reply.raw.writableFinished;
      const status = isAborted ? statusBelow(request) : reply.raw.statusCode;
      callback({ request, status, isAborted });
    };
    closings.set(reply, closed);
    reply.raw.once('close', closed);
  });
  // The body is here, and the handler is next.
  server.addHook('preHandler', async (_request, reply) => {
    const closed = closings.get(reply);
    if (closed) reply.raw.off('close', closed);
  });
}

/** What Node's own server answered past the application; 0 if the client just left. */
function statusBelow({ raw }: FastifyRequest): number {
  const { code = '' } = (raw.socket.errored ?? {}) as { code?: string };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  // The parser calls the end of a connection in the middle of a body a fault as well.
  return code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE' ? 400 : 0;
}
