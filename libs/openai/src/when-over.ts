import type { FastifyReply } from 'fastify';
import type { Socket } from 'node:net';

/** Who waits for a connection's end: one listener for all, since a client may pipeline many calls. */
const WAITING = Symbol('waiting');

type WatchedSocket = Socket & { [WAITING]?: Set<() => void> };

/**
 * Calls back once a call is over, at once if it is already: its response is closed, or its connection
 * is gone. A response that waits behind another one is told nothing when their connection goes.
 */
export function whenOver({ raw, request }: FastifyReply, callback: () => void): void {
  const { socket } = request.raw;
  // Who left before has been told of already.
  if (raw.destroyed || socket.destroyed) return callback();
  const waiting = waitingFor(socket);
  const end = (): void => {
    if (waiting.delete(end)) callback();
  };
  waiting.add(end);
  raw.once('close', end);
}

function waitingFor(socket: WatchedSocket): Set<() => void> {
  if (socket[WAITING]) return socket[WAITING];
  const waiting = (socket[WAITING] = new Set());
  socket.once('close', () => waiting.forEach((end) => end()));
  return waiting;
}
