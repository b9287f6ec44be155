import type { IncomingHttpHeaders } from 'node:http';
import type { ChatRequest } from './chat-request.schema.js';

/** What an upstream answers, its body not yet read. */
export interface UpstreamAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  /** Read at the reader's pace; may be read once. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Whoever makes the answers: a server, or the built-in loopback provider. */
export abstract class Upstream {
  /** Ends with the signal. @throws HttpException 502 or 504 if there is no answer */
  abstract send(
    request: ChatRequest,
    headers: IncomingHttpHeaders,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer>;
}
