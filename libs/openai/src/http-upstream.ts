import {
  BadGatewayException,
  GatewayTimeoutException,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { Agent, ProxyAgent, type Dispatcher } from 'undici';
import { requestOnceMore as send } from './kept-connections.js';
import { openAiError } from './openai-error.js';
import { headersForClient, headersForUpstream } from './pass-headers.js';
import { proxyTo } from './proxy-settings.js';
import { unpackAnswer } from './unpack-answer.js';
import { Upstream, type UpstreamAnswer, type UpstreamCall } from './upstream.js';
import { UpstreamAddress } from './upstream-address.js';

/** No answer has a higher status. Source: https://www.rfc-editor.org/rfc/rfc9110#section-15 */
const LAST_STATUS = 599;
const CONNECT_TIMEOUT_MS = 10_000;

/** Server and time limits. */
export interface HttpUpstreamOptions {
  /** Usually includes `/v1`; Azure's contains `?api-version=`. */
  readonly baseUrl: string;
  /** Sent as Bearer, to Azure's address with a version as `api-key`; without it no key is sent. */
  readonly apiKey?: string;
  /** Maximum silence in milliseconds, before the headers and in the body. */
  readonly timeoutMs: number;
}

/** Any server that speaks OpenAI's protocol. */
export class HttpUpstream extends Upstream implements OnApplicationShutdown {
  private readonly address: UpstreamAddress;
  private readonly keyHeader: Readonly<Record<string, string>>;
  /** Uses the proxy in `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the process. */
  private readonly agent: Dispatcher;

  constructor(private readonly options: HttpUpstreamOptions) {
    super();
    this.address = new UpstreamAddress(options.baseUrl);
    this.keyHeader = this.address.keyHeader(options.apiKey);
    const proxy = proxyTo(this.address.urlOf('/'), process.env);
    const times = { headersTimeout: options.timeoutMs, bodyTimeout: options.timeoutMs };
    this.agent = proxy
      ? // A plain `http:` address is requested like by curl, because many proxies only tunnel to port 443.
        new ProxyAgent({ ...proxy, ...times, proxyTunnel: false })
      : new Agent({ ...times, connect: { timeout: CONNECT_TIMEOUT_MS } });
  }

  async send(call: UpstreamCall, signal: AbortSignal): Promise<UpstreamAnswer> {
    const { timeoutMs } = this.options;
    const [path = '', ...query] = call.path.split('?');
    const answer = await send(this.address.urlOf(path, query.join('?')), {
      method: call.method,
      headers: this.headersOf(call),
      body: call.body,
      dispatcher: this.agent,
      // Set here too, because connections to a proxy do not use the agent's times.
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal,
    }).catch((error: unknown) => {
      throw noAnswer(error);
    });
    if (answer.statusCode < 200 || answer.statusCode > LAST_STATUS) {
      answer.body.on('error', () => undefined).destroy();
      throw noAnswer(new Error(`the upstream answered with status ${answer.statusCode}`));
    }
    const { 'content-encoding': encoding = '' } = answer.headers;
    const kept = headersForClient(answer.headers);
    const unpacked = encoding && unpackAnswer(answer.body, String(encoding));
    // A body that can't be decompressed here is left for the client.
    if (encoding && !unpacked) kept['content-encoding'] = String(encoding);
    return { statusCode: answer.statusCode, headers: kept, body: unpacked || answer.body };
  }

  private headersOf({ headers, body }: UpstreamCall): Record<string, string> {
    const sent = headersForUpstream(headers);
    Object.assign(sent, this.keyHeader);
    // Nearly all bodies are JSON.
    if (body) sent['content-type'] = headers['content-type'] ?? 'application/json';
    // A compressed answer could not be inspected.
    sent['accept-encoding'] = 'identity';
    return sent;
  }

  /** Not earlier: calls are served until the server is closed, and use this agent. */
  onApplicationShutdown(): void {
    void this.agent.close().catch(() => undefined);
  }
}

/** An upstream's failure as an answer: 504 for a timeout, else 502. */
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
