import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { ConnectionWatch } from './connection-watch.js';

/** Not from `node:http2`, which few applications load. Source: RFC 9113, 7. */
const NGHTTP2_NO_ERROR = 0;

/** A raw response of either adapter; has `stream` over HTTP/2 only. @internal */
export type RawResponse = ServerResponse & {
  readonly stream?: Partial<ServerHttp2Stream>;
};

/** The raw request and response of a call, below the adapter's. @internal */
export interface RawExchange {
  readonly request: IncomingMessage;
  readonly response: RawResponse;
  /** The adapter's request and response. */
  readonly nestRequest: unknown;
  readonly nestResponse: unknown;
}

type Wrapped<Raw> = Raw & { readonly raw?: Raw };

/** The exchange of a context over HTTP; undefined for others, which libraries may call `http` too. */
export function rawExchangeOf(context: ExecutionContext): RawExchange | undefined {
  if (context.getType() !== 'http') return undefined;
  // Not by `switchToHttp()`, which creates three functions per call.
  return rawExchange(context.getArgByIndex(0), context.getArgByIndex(1));
}

/** The raw exchange of the adapter's request and response; undefined for other values. @internal */
export function rawExchange(nestRequest: unknown, nestResponse: unknown): RawExchange | undefined {
  // Fastify wraps what Express extends.
  const request = nestRequest as Wrapped<IncomingMessage> | undefined;
  const response = nestResponse as Wrapped<RawResponse> | undefined;
  const raw = response?.raw ?? response;
  if (!request || typeof raw?.once !== 'function') return undefined;
  return { request: request.raw ?? request, response: raw, nestRequest, nestResponse };
}

/**
 * Calls back once when a response is over: with true if it was handed to the network completely,
 * with false if the connection closed first. Never calls back synchronously.
 *
 * The connection is watched too, because a pipelined response that still waits for its turn gets no
 * `close` when the connection closes.
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
  // `on` instead of `once`, because settling twice does nothing and the listeners go with the
  // response. Over HTTP/2, `finish` is also emitted when the client has reset the stream.
  response.on('finish', () => settle(response.stream?.aborted !== true && !isGone(request)));
  response.on('close', () => settle(false));
  const { stream } = response;
  // A response to HEAD that is not ended does not report the end of its stream, so the stream is
  // watched itself.
  stream?.on?.('close', () => settle(response.headersSent && stream.rstCode === NGHTTP2_NO_ERROR));
  if (isGone(request) || response.destroyed || response.stream?.destroyed) {
    // The client left earlier, for example during a guard, and `close` was already emitted.
    process.nextTick(settle, false);
  } else {
    watch = watchConnection(request, () => settle(false));
  }
}

/** True once the request's connection is closed and a response could not arrive. @internal */
export function isGone(request: IncomingMessage): boolean {
  return !isMultiplexed(request) && request.socket?.destroyed === true;
}

/** Requests of one HTTP/2 session share its socket; their own streams report the close. */
export function isMultiplexed(request: IncomingMessage): boolean {
  return (request.httpVersionMajor ?? 1) > 1;
}

/**
 * Calls back when the connection of a request closes.
 *
 * @returns a watch to cancel; undefined if no connection reports its end
 */
export function watchConnection(
  request: IncomingMessage,
  callback: () => void,
): ConnectionWatch | undefined {
  const socket = request.socket as Socket | undefined;
  // Requests injected by tests may have no real socket.
  if (isMultiplexed(request) || typeof socket?.once !== 'function') return undefined;
  return ConnectionWatch.on(socket, callback);
}
