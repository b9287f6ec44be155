import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { ConnectionWatch } from './connection-watch.js';

/** Not from `node:http2`, which few applications load. Source: RFC 9113, 7. */
const NGHTTP2_NO_ERROR = 0;

/** A raw response of either adapter; `stream` is there over HTTP/2 only. @internal */
export type RawResponse = ServerResponse & {
  readonly stream?: Partial<ServerHttp2Stream>;
};

/** The request and response of a call below the adapter's own. @internal */
export interface RawExchange {
  readonly request: IncomingMessage;
  readonly response: RawResponse;
  /** The same as the adapter has them. */
  readonly nestRequest: unknown;
  readonly nestResponse: unknown;
}

type Wrapped<Raw> = Raw & { readonly raw?: Raw };

/** The exchange of a context over HTTP; undefined for others, which libraries may call `http` too. */
export function rawExchangeOf(context: ExecutionContext): RawExchange | undefined {
  if (context.getType() !== 'http') return undefined;
  // Not by `switchToHttp()`, which gives the context three functions anew with each call.
  return rawExchange(context.getArgByIndex(0), context.getArgByIndex(1));
}

/** The exchange behind the adapter's request and response; undefined if they are none. @internal */
export function rawExchange(nestRequest: unknown, nestResponse: unknown): RawExchange | undefined {
  // Fastify wraps what Express extends.
  const request = nestRequest as Wrapped<IncomingMessage> | undefined;
  const response = nestResponse as Wrapped<RawResponse> | undefined;
  const raw = response?.raw ?? response;
  if (!request || typeof raw?.once !== 'function') return undefined;
  return { request: request.raw ?? request, response: raw, nestRequest, nestResponse };
}

/**
 * Calls back once when a response is over: with true if all of it was handed to the network, with
 * false if the connection went first. Never calls back before it returns.
 *
 * The connection is watched beside the response, since a pipelined response that still waits for
 * its turn gets no `close` when the connection goes.
 *
 * @internal
 */
export function whenOver(
  { request, response }: RawExchange,
  callback: (isFinished: boolean) => void,
): void {
  let isOver = false;
  let watch: ConnectionWatch | undefined;
  const settle = (isFinished: boolean): void => {
    if (isOver) return;
    isOver = true;
    watch?.end();
    callback(isFinished);
  };
  // `on` and not `once`: who settles twice does nothing, and a response takes its listeners along.
  // Over HTTP/2 `finish` also comes when the client has reset the stream.
  response.on('finish', () => settle(response.stream?.aborted !== true && !isGone(request)));
  response.on('close', () => settle(false));
  const { stream } = response;
  // A response to HEAD that isn't ended yet tells nothing of its stream's end, so that itself has to.
  stream?.on?.('close', () => settle(response.headersSent && stream.rstCode === NGHTTP2_NO_ERROR));
  if (isGone(request) || response.destroyed || response.stream?.destroyed) {
    // The client left during a guard, say: its `close` events have been.
    process.nextTick(settle, false);
  } else {
    watch = watchConnection(request, () => settle(false));
  }
}

/** True once the request's connection is gone, so that nothing sent would arrive. @internal */
export function isGone(request: IncomingMessage): boolean {
  return !isMultiplexed(request) && request.socket?.destroyed === true;
}

/** Requests of one HTTP/2 session share its socket, and their own streams tell when they close. */
export function isMultiplexed(request: IncomingMessage): boolean {
  return (request.httpVersionMajor ?? 1) > 1;
}

/**
 * Calls back when the connection of a request closes.
 *
 * @returns what ends it; undefined if there is no connection that tells of its end
 */
export function watchConnection(
  request: IncomingMessage,
  callback: () => void,
): ConnectionWatch | undefined {
  const socket = request.socket as Socket | undefined;
  // Requests that are injected in tests may have no socket worth the name.
  if (isMultiplexed(request) || typeof socket?.once !== 'function') return undefined;
  return ConnectionWatch.on(socket, callback);
}
