import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { whenOver } from './when-over.js';

/** A call that its handler never heard of. */
export interface RefusedCall {
  readonly request: FastifyRequest;
  /** Status of the answer; 0 if the client left before there was one. */
  readonly status: number;
  /** Whether the connection ended before an answer was sent through the application. */
  readonly isAborted: boolean;
}

const HANDED_ON = Symbol('handed on');

type MarkedReply = FastifyReply & { [HANDED_ON]?: boolean };

/**
 * Calls back once for each call of some routes that ends before its handler has it: a body that is no JSON,
 * too long, too slow, never there in full, or refused by a pipe. The handler says with `takeCall` that it has
 * a call. Calls that an `onRequest` hook of the server answers are left out.
 *
 * A hook and no interceptor: calls that are not refused need no further pass through Nest. The hook is the
 * routes' own, so that requests for other routes meet none.
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

/** The handler has the call: it is not refused any more, whatever becomes of it. */
export function takeCall(reply: FastifyReply): void {
  (reply as MarkedReply)[HANDED_ON] = true;
}

/** What Node's own server answered past the application; 0 if the client just left. */
function statusBelow({ raw }: FastifyRequest): number {
  const { code = '' } = (raw.socket.errored ?? {}) as { code?: string };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  // The parser calls the end of a connection in the middle of a body a fault as well.
  return code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE' ? 400 : 0;
}
