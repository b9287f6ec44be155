import type { JetStreamOptions } from './jet-stream.options.js';

/** Protocols of NATS addresses. Source: https://docs.nats.io/using-nats/developer/connecting */
const ADDRESS = /^(nats|tls):\/\/(?:([^@/?]*)@)?([^@/?]+)\/?(?:\?(.*))?$/;
const NUMBERS: ReadonlySet<string> = new Set(['replicas', 'maxBytes', 'ackWaitMs']);

/**
 * Options of an address: `nats://user:password@host:4222,host:4222?stream=name&replicas=1`. User and password
 * are percent-encoded; a user without a password is a token. The options behind `?` are those of `jetStream()`
 * that are texts, numbers or `create`.
 *
 * @throws RangeError with the rule, and never with the address, which may hold a password
 * @internal
 */
export function parseNatsUrl(url: string): JetStreamOptions {
  const [, protocol, credentials, hosts, query = ''] = ADDRESS.exec(url) ?? [];
  if (hosts === undefined)
    throw new RangeError('must be like nats://host:4222,host:4222?replicas=3');
  const servers = hosts.split(',').map((host) => `${protocol}://${host}`);
  const connection = connectionOf(credentials);
  const options: Record<string, unknown> = {};
  for (const [name, text] of new URLSearchParams(query)) options[name] = valueOf(name, text);
  return { servers, ...(connection && { connection }), ...options };
}

function connectionOf(credentials: string | undefined): JetStreamOptions['connection'] {
  if (credentials === undefined || credentials === '') return undefined;
  const [user = '', ...rest] = credentials.split(':');
  try {
    if (rest.length === 0) return { token: decodeURIComponent(user) };
    return { user: decodeURIComponent(user), pass: decodeURIComponent(rest.join(':')) };
  } catch {
    throw new RangeError('has a user or password that is not percent-encoded');
  }
}

function valueOf(name: string, text: string): string | number | boolean {
  if (name === 'stream') return text;
  if (name === 'create' && ['true', 'false'].includes(text)) return text === 'true';
  if (NUMBERS.has(name) && /^\d+$/.test(text)) return Number(text);
  throw new RangeError(
    `has an option ${/^\w{1,40}$/.test(name) ? name : 'of its own'} that it can't have: it takes ` +
      'stream, replicas, maxBytes, ackWaitMs and create=true|false',
  );
}
