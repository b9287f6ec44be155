import type { FastifyReply } from 'fastify';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Who waits for an end: one listener for all, since a client may pipeline many calls. */
const WAITING = Symbol('waiting');

type Watched<T> = T & { [WAITING]?: Set<() => void> };

/**
 * Calls back once a call is over, at once if it is already: its response is closed, or its connection
 * is gone. A response that waits behind another one gets no event when their connection closes.
 */
export function whenOver({ raw, request }: FastifyReply, callback: () => void): void {
  const { socket } = request.raw;
  // Who left before has been told of already.
  if (raw.destroyed || socket.destroyed) return callback();
  const [ofSocket, ofResponse] = [waitingFor(socket), waitingFor(raw)];
  const end = (): void => {
    ofResponse.delete(end);
    if (ofSocket.delete(end)) callback();
  };
  ofSocket.add(end);
  ofResponse.add(end);
}

function waitingFor(emitter: Watched<Socket> | Watched<ServerResponse>): Set<() => void> {
  if (emitter[WAITING]) return emitter[WAITING];
  const waiting = (emitter[WAITING] = new Set<() => void>());
  emitter.once('close', () => waiting.forEach((end) => end()));
  return waiting;
}
