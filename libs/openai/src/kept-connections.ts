import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { request } from 'undici';

/** What undici publishes when it has written a request's headers. */
interface SentHeaders {
  readonly request: { readonly body: unknown };
  readonly socket: Socket;
}

/** What is looked at of a request. */
interface RequestFacts {
  readonly method?: string;
  readonly body?: unknown;
}

/** Where and when a request was sent. */
interface Sending {
  readonly socket: Socket;
  /** Bytes that had been read of the connection by then. */
  readonly bytesRead: number;
}

/** How a connection that was closed by the other side is told of. */
const CLOSED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
/** Connections that have carried a request before. */
const used = new WeakSet<Socket>();
/** By the body: it is the one object of a request that its sender knows. */
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
 * Sends a request, as undici does, and once more if its connection, which had been kept from an
 * earlier one, was closed before any byte of an answer: servers close idle connections without
 * looking whether a request is on its way. Browsers repeat such a request too.
 * Source: https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
 *
 * @param options with a body that is this request's alone, or none
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
  // One that only reads changes nothing at the server, however far it came.
  if (typeof body !== 'object' || body === null) return method === 'GET';
  const sending = sendings.get(body);
  return sending !== undefined && sending.socket.bytesRead === sending.bytesRead;
}
