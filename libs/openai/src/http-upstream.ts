import {
  BadGatewayException,
  GatewayTimeoutException,
  type OnApplicationShutdown,
} from '@nestjs/common';
import type { IncomingHttpHeaders } from 'node:http';
import { pipeline, type Duplex } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Agent, request as send } from 'undici';
import type { ChatRequest } from './chat-request.schema.js';
import { openAiError } from './openai-error.js';
import { Upstream, type UpstreamAnswer } from './upstream.js';

/** Belong to one connection: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
const HOP_BY_HOP =
  'connection keep-alive proxy-connection te trailer transfer-encoding upgrade content-length';
/** Belong to the caller alone, or name an account that the upstream's key is not of. */
const CALLERS_OWN =
  'host authorization proxy-authorization cookie api-key x-api-key openai-organization ' +
  'openai-project forwarded via x-real-ip expect accept-encoding content-type';
const NOT_SENT = new Set(`${HOP_BY_HOP} ${CALLERS_OWN}`.split(' '));
const NOT_RETURNED = new Set(`${HOP_BY_HOP} proxy-authenticate set-cookie`.split(' '));
/** No answer has one above. Source: https://www.rfc-editor.org/rfc/rfc9110#section-15 */
const LAST_STATUS = 599;
const CONNECT_TIMEOUT_MS = 10_000;
/** With a flush after each piece: a stream's events must not wait for the next ones. */
const UNPACKERS = new Map<string, () => Duplex>([
  ['gzip', () => createGunzip({ flush: constants.Z_SYNC_FLUSH })],
  ['x-gzip', () => createGunzip({ flush: constants.Z_SYNC_FLUSH })],
  ['deflate', () => createInflate({ flush: constants.Z_SYNC_FLUSH })],
  ['br', () => createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH })],
]);

/** Which server, and how patiently. */
export interface HttpUpstreamOptions {
  /** Without a slash at the end, `/v1` mostly included. */
  readonly baseUrl: string;
  /** Sent as Bearer; none is sent without it. */
  readonly apiKey?: string;
  /** Milliseconds of silence that are borne with, before the headers and in the body. */
  readonly timeoutMs: number;
}

/** Any server that speaks OpenAI's protocol. */
export class HttpUpstream extends Upstream implements OnApplicationShutdown {
  private readonly agent: Agent;

  constructor(private readonly options: HttpUpstreamOptions) {
    super();
    this.agent = new Agent({
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: options.timeoutMs,
      bodyTimeout: options.timeoutMs,
    });
  }

  async send(
    request: ChatRequest,
    headers: IncomingHttpHeaders,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> {
    const { baseUrl, apiKey } = this.options;
    const sent = passable(headers, NOT_SENT);
    if (apiKey) sent['authorization'] = `Bearer ${apiKey}`;
    const answer = await send(`${baseUrl}/chat/completions`, {
      method: 'POST',
      // A body that is packed could not be looked into.
      headers: { ...sent, 'content-type': 'application/json', 'accept-encoding': 'identity' },
      body: JSON.stringify(request),
      dispatcher: this.agent,
      signal,
    }).catch((error: unknown) => {
      throw noAnswer(error);
    });
    if (answer.statusCode < 200 || answer.statusCode > LAST_STATUS) {
      answer.body.on('error', () => undefined).destroy();
      throw noAnswer(new Error(`the upstream answered with status ${answer.statusCode}`));
    }
    return unpacked({
      statusCode: answer.statusCode,
      headers: passable(answer.headers, NOT_RETURNED),
      body: answer.body,
    });
  }

  /** Not sooner: until the server is closed calls are served, and they ask here. */
  onApplicationShutdown(): void {
    void this.agent.close().catch(() => undefined);
  }
}

/** Unpacks an answer as it comes, if it was packed although nobody asked for that. */
function unpacked({ statusCode, headers, body }: UpstreamAnswer): UpstreamAnswer {
  const { 'content-encoding': encoding = '', ...rest } = headers;
  const unpack = UNPACKERS.get(encoding.toLowerCase())?.();
  if (!unpack) return { statusCode, headers, body };
  // An error on either side ends both, and is what the reader of the second one gets.
  pipeline(body, unpack, () => undefined);
  return { statusCode, headers: rest, body: unpack };
}

/** An upstream's failure as an answer: 504 for time that ran out, else 502. */
export function noAnswer(error: unknown): BadGatewayException | GatewayTimeoutException {
  const { code } = (error ?? {}) as { code?: unknown };
  if (!String(code).includes('TIMEOUT')) {
    const facts = { type: 'server_error', code: 'upstream_failed' } as const;
    return new BadGatewayException(openAiError('The upstream gave no answer.', facts), {
      cause: error,
    });
  }
  const facts = { type: 'server_error', code: 'upstream_timeout' } as const;
  return new GatewayTimeoutException(openAiError('The upstream took too long.', facts), {
    cause: error,
  });
}

/** Leaves out the named headers, those that `connection` names, and where a request came from. */
function passable(headers: IncomingHttpHeaders, left: ReadonlySet<string>): IncomingHttpHeaders {
  const named = `${headers.connection ?? ''}`.toLowerCase().split(/[\s,]+/);
  const kept = Object.entries(headers).filter(
    ([name]) => !left.has(name) && !named.includes(name) && !name.startsWith('x-forwarded-'),
  );
  return Object.fromEntries(kept);
}
