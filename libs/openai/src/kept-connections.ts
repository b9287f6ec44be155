import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { request } from 'undici';

/** Published by undici when it has written a request's headers. */
interface SentHeaders {
  readonly request: { readonly body: unknown };
  readonly socket: Socket;
}

/** The used part of a request. */
interface RequestFacts {
  readonly method?: string;
  readonly body?: unknown;
}

/** Connection and state when a request was sent. */
interface Sending {
  readonly socket: Socket;
  /** Bytes read from the connection by then. */
  readonly bytesRead: number;
}

/** Error codes of a connection that the other side closed. */
const CLOSED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
/** Connections that have carried a request before. */
const used = new WeakSet<Socket>();
/** By the body, the one object of a request that its sender knows. */
const sendings = new WeakMap<object, Sending>();

subscribe('undici:client:sendHeaders', (message) => {
  const { request, socket } = message as SentHeaders;
  const { body } = request;
  if (used.has(socket) && typeof body === 'object' && body !== null) {
    sendings.set(body, { socket, bytesRead: socket.bytesRead });
  }
  used.add(socket);
});

/**
 * Sends a request with undici. It sends it once more if its kept-alive connection was closed before
 * any byte of an answer: servers close idle connections without checking whether a request is under
 * way. Browsers repeat such a request too. Source:
 * https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
 *
 * @param options with a body used only by this request, or none
 */
export async function requestOnceMore(...[url, options]: Parameters<typeof request>) {
  try {
    return await request(url, options);
  } catch (error) {
    const { aborted: isOver = false } = (options?.signal ?? {}) as { aborted?: boolean };
    if (isOver || !wasKeptConnectionClosed(error, options ?? {})) throw error;
    return request(url, options);
  }
}

function wasKeptConnectionClosed(error: unknown, { method, body }: RequestFacts): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  if (!CLOSED.has(String(code))) return false;
  // A GET changes nothing at the server, even if it was processed.
  if (typeof body !== 'object' || body === null) return method === 'GET';
  const sending = sendings.get(body);
  return sending !== undefined && sending.socket.bytesRead === sending.bytesRead;
}
