import type { IncomingHttpHeaders } from 'node:http';

/**
 * What an upstream may know of a call: how the answer is wanted, which of the vendor's rules hold, and
 * what finds the call again. Names what is let through, since every proxy invents headers with the
 * client's address (`cf-connecting-ip`, `true-client-ip`, `fly-client-ip`, `x-real-ip`, …).
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
 * What a client may know of an answer: what it is, when to ask again, and how the upstream calls it.
 * The upstream's account, its limits and what it allows to browsers are the gateway's own affair.
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

/** The headers of a caller's request that its upstream is sent; those of the body are not among them. */
export function headersForUpstream(headers: IncomingHttpHeaders): Record<string, string> {
  return named(headers, TO_UPSTREAM);
}

/** The headers of an answer that its client is sent. A packed body is unpacked before. */
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

/** What a sender names in `connection` it wants to go no further; nearly all name nothing. */
function hopNames(connection: string | string[] | undefined): readonly string[] | undefined {
  if (!connection || connection === 'keep-alive' || connection === 'close') return undefined;
  return String(connection)
    .toLowerCase()
    .split(/[\s,]+/);
}
