import type { IncomingHttpHeaders } from 'node:http';

/**
 * Headers that an upstream may receive: the desired form of the answer, the vendor's rules that
 * apply, and ids for finding the call again. Allowed headers are listed, because every proxy
 * invents headers with the client's address (`cf-connecting-ip`, `true-client-ip`, `fly-client-ip`,
 * `x-real-ip`, …).
 */
const TO_UPSTREAM = new Set([
  'accept',
  'anthropic-beta',
  'anthropic-version',
  'idempotency-key',
  'openai-beta',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-client-request-id',
  'x-request-id',
]);
/** Name of the application towards OpenRouter. Source: https://openrouter.ai/docs/app-attribution */
const APPLICATION = ['http-referer', 'x-title'];
for (const name of APPLICATION) TO_UPSTREAM.add(name);

/**
 * Headers of an answer that a client may receive: its form, when to retry, and the upstream's ids.
 * The upstream's account, limits and rules for browsers concern only the gateway.
 */
const TO_CLIENT = new Set([
  'apim-request-id',
  'cache-control',
  'content-disposition',
  'content-language',
  'content-type',
  'deprecation',
  'openai-model',
  'openai-processing-ms',
  'openai-version',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'sunset',
  'x-generation-id',
  'x-request-id',
  'x-should-retry',
]);

/** The headers of a caller's request that its upstream receives, without those of the body. */
export function headersForUpstream(headers: IncomingHttpHeaders): Record<string, string> {
  return named(headers, TO_UPSTREAM);
}

/** The headers of an answer that its client receives. A compressed body is decompressed before. */
export function headersForClient(headers: IncomingHttpHeaders): Record<string, string> {
  return named(headers, TO_CLIENT);
}

function named(headers: IncomingHttpHeaders, names: ReadonlySet<string>): Record<string, string> {
  const hop = hopNames(headers.connection);
  const kept: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || !names.has(name) || hop?.includes(name)) continue;
    kept[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return kept;
}

/**
 * Headers that a sender names in `connection` must not be forwarded; nearly all senders name none.
 */
function hopNames(connection: string | string[] | undefined): readonly string[] | undefined {
  if (!connection || connection === 'keep-alive' || connection === 'close') return undefined;
  return String(connection)
    .toLowerCase()
    .split(/[\s,]+/);
}
