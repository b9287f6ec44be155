import type { IncomingHttpHeaders } from 'node:http';
import type { LargeBody } from './large-bodies.js';

/** One call of an upstream. */
export interface UpstreamCall {
  readonly method: string;
  /** Below the upstream's base address, with its query if it has one: `/chat/completions`. */
  readonly path: string;
  /** The caller's; an upstream passes on what is meant for it. */
  readonly headers: IncomingHttpHeaders;
  /** As the caller wrote it, byte by byte; undefined for a call without one. */
  readonly body: Buffer | undefined;
  /** What the body says, for an upstream in this process; of a large body only some of it. */
  readonly json: unknown;
  /** Set if the body is large. */
  readonly largeBody?: LargeBody | undefined;
  /**
   * Whether the client is there yet. An upstream in this process makes no more text once it has left,
   * and tells what it has made; any other one is read on, as `Lingering` lets it.
   */
  readonly hasReader: () => boolean;
}

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
  abstract send(call: UpstreamCall, signal: AbortSignal): Promise<UpstreamAnswer>;
}
