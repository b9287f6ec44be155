import { parseStreamUrl, type StreamUrl } from '../stream/parse-stream-url.js';
import type { JetStreamOptions } from './jet-stream.options.js';

/** Source of the protocols: https://docs.nats.io/using-nats/developer/connecting */
const RULES = {
  protocols: ['nats', 'tls'],
  example: 'nats://host:4222,host:4222?replicas=3',
  texts: ['stream', 'retention', 'stores', 'store'],
  numbers: ['replicas', 'maxBytes', 'ackWaitMs'],
  switches: ['create'],
};

/**
 * Options from an address: `nats://user:password@host:4222,host:4222?stream=name&replicas=1`. User
 * and password are percent-encoded; a user without a password is a token. The options after `?` are
 * those of `jetStream()` that are texts, numbers or `create`, and `stores` with commas between names.
 *
 * @throws RangeError with the rule, and never with the address, which may contain a password
 * @internal
 */
export function parseNatsUrl(url: string): JetStreamOptions {
  const { protocol, hosts, options: given, ...login } = parseStreamUrl(url, RULES);
  const { stores, ...options } = given;
  const names = stores === undefined ? {} : { stores: `${stores}`.split(',') };
  const servers = hosts.map((host) => `${protocol}://${host}`);
  const connection = connectionOf(login);
  return { servers, ...(connection && { connection }), ...options, ...names };
}

function connectionOf({
  user,
  password,
}: Pick<StreamUrl, 'user' | 'password'>): JetStreamOptions['connection'] {
  if (user === undefined) return undefined;
  return password === undefined ? { token: user } : { user, pass: password };
}
