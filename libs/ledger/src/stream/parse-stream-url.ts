/** The parts of a stream's address, for any engine. @internal */
export interface StreamUrl {
  readonly protocol: string;
  /** Undefined if there is none, or it is empty. */
  readonly user: string | undefined;
  /** Undefined if there is only a user, or none. */
  readonly password: string | undefined;
  /** As written, with or without a port; at least one. */
  readonly hosts: readonly string[];
  /** Options after `?`, by name. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
}

/** The allowed parts of an engine's addresses. */
interface StreamUrlRules {
  readonly protocols: readonly string[];
  /** A valid address. */
  readonly example: string;
  /** Options after `?`, by the type of their values. */
  readonly texts: readonly string[];
  readonly numbers: readonly string[];
  readonly switches: readonly string[];
}

/**
 * Parses `protocol://user:password@host:port,host:port?option=value`. User and password are
 * percent-encoded.
 *
 * @throws RangeError with the rule, and never with the address, which may contain a password
 * @internal
 */
export function parseStreamUrl(url: string, rules: StreamUrlRules): StreamUrl {
  const [, protocol = '', credentials = '', hosts, query = ''] =
    /^([a-z]+):\/\/(?:([^@/?]*)@)?([^@/?]+)\/?(?:\?(.*))?$/.exec(url) ?? [];
  const list = hosts?.split(',') ?? [];
  if (!rules.protocols.includes(protocol) || list.length === 0 || list.includes(''))
    throw new RangeError(`must be like ${rules.example}`);
  const options: Record<string, string | number | boolean> = {};
  for (const [name, text] of new URLSearchParams(query)) options[name] = valueOf(name, text, rules);
  return { protocol, ...loginOf(credentials), hosts: list, options };
}

function loginOf(credentials: string): Pick<StreamUrl, 'user' | 'password'> {
  if (credentials === '') return { user: undefined, password: undefined };
  const [user = '', ...rest] = credentials.split(':');
  try {
    const password = rest.length === 0 ? undefined : decodeURIComponent(rest.join(':'));
    return { user: decodeURIComponent(user), password };
  } catch {
    throw new RangeError('has a user or password that is not percent-encoded');
  }
}

function valueOf(
  name: string,
  text: string,
  { texts, numbers, switches }: StreamUrlRules,
): string | number | boolean {
  if (texts.includes(name) && text !== '') return text;
  if (numbers.includes(name) && /^\d+$/.test(text)) return Number(text);
  if (switches.includes(name) && ['true', 'false'].includes(text)) return text === 'true';
  const shown = /^\w{1,40}$/.test(name) ? name : 'of its own';
  const known = [...texts, ...numbers, ...switches.map((each) => `${each}=true|false`)];
  const list = `${known.slice(0, -1).join(', ')} and ${known.at(-1)}`;
  throw new RangeError(`has an option ${shown} that it can't have: it takes ${list}`);
}
