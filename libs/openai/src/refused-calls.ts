import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { whenOver } from './when-over.js';

/** A call that never reached its handler. */
export interface RefusedCall {
  readonly request: FastifyRequest;
  /** Status of the answer; 0 if the client left before it. */
  readonly status: number;
  /** Whether the connection ended before an answer was sent through the application. */
  readonly isAborted: boolean;
}

const HANDED_ON = Symbol('handed on');

type MarkedReply = FastifyReply & { [HANDED_ON]?: boolean };

/**
 * Calls back once for each call of some routes that ends before its handler gets it: a body that is
 * not JSON, too long, too slow, incomplete, or refused by a pipe. The handler confirms a call with
 * `takeCall`. Calls answered by an `onRequest` hook of the server are excluded.
 *
 * It uses a hook and not an interceptor, so that accepted calls need no further pass through Nest.
 * The hook belongs to these routes, so that requests for other routes have none.
 *
 * @param server before its routes are made
 * @param paths as the routes will be declared
 */
export function onRefusedCall(
  server: FastifyInstance,
  paths: readonly string[],
  callback: (refused: RefusedCall) => void,
): void {
  // Declared, so that all replies keep one shape.
  if (!server.hasReplyDecorator(HANDED_ON)) server.decorateReply(HANDED_ON, false);
  const watch: onRequestHookHandler = (request, reply: MarkedReply, done) => {
    whenOver(reply, () => {
      if (reply[HANDED_ON]) return;
      const isAborted = !reply.raw.writableFinished;
      const status = isAborted ? statusBelow(request) : reply.raw.statusCode;
      callback({ request, status, isAborted });
    });
    done();
  };
  server.addHook('onRoute', (route) => {
    if (!paths.includes(route.url)) return;
    route.onRequest = [route.onRequest ?? [], watch].flat();
  });
}

/** The handler has the call, which then no longer counts as refused. */
export function takeCall(reply: FastifyReply): void {
  (reply as MarkedReply)[HANDED_ON] = true;
}

/** Status of an answer by Node's own server outside the application; 0 if the client just left. */
function statusBelow({ raw }: FastifyRequest): number {
  const { code = '' } = (raw.socket.errored ?? {}) as { code?: string };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  // The parser also reports a connection's end inside a body as a fault.
  return code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE' ? 400 : 0;
}
