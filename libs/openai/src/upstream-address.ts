/** Paths that are kept parsed; a caller can ask for any number of others. */
const MAX_PARSED = 16;

/**
 * Where an upstream's endpoints are, and which header carries its key.
 *
 * Azure has two addresses: `…/openai/deployments/<name>?api-version=<date>`, which wants the query
 * at each call and the key as `api-key`, and `…/openai/v1`, which takes Bearer like all others.
 * Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference
 */
export class UpstreamAddress {
  private readonly base: string;
  /** `api-version=…`, or empty. */
  private readonly query: string;
  /** Of the few paths that nearly all calls have: parsing one takes longer than all else here. */
  private readonly parsed = new Map<string, URL>();

  /** @param baseUrl as `upstreamBaseUrl` of the settings lets it through */
  constructor(baseUrl: string) {
    const [path = '', query = ''] = baseUrl.split('?');
    this.base = path.replace(/\/+$/, '');
    this.query = query;
  }

  /**
   * Where a path of the upstream is. Not to be changed: later calls get the same object.
   *
   * @param path begins with a slash: `/chat/completions`
   * @param query of the caller, without `?`; the settings' own goes first, so that it counts
   */
  urlOf(path: string, query = ''): URL {
    const known = query === '' ? this.parsed.get(path) : undefined;
    if (known) return known;
    const queries = [this.query, query].filter((each) => each !== '').join('&');
    const url = new URL(`${this.base}${path}${queries && `?${queries}`}`);
    if (query === '' && this.parsed.size < MAX_PARSED) this.parsed.set(path, url);
    return url;
  }

  /** The header that carries the key; none without a key. */
  keyHeader(apiKey: string | undefined): Record<string, string> {
    if (!apiKey) return {};
    return this.query === '' ? { authorization: `Bearer ${apiKey}` } : { 'api-key': apiKey };
  }
}
