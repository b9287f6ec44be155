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

  /** @param baseUrl as `upstreamBaseUrl` of the settings lets it through */
  constructor(baseUrl: string) {
    const [path = '', query = ''] = baseUrl.split('?');
    this.base = path.replace(/\/+$/, '');
    this.query = query;
  }

  /**
   * @param path begins with a slash: `/chat/completions`
   * @param query of the caller, without `?`; the settings' own goes first, so that it counts
   */
  urlOf(path: string, query = ''): string {
    const queries = [this.query, query].filter((each) => each !== '').join('&');
    return `${this.base}${path}${queries && `?${queries}`}`;
  }

  /** The header that carries the key; none without a key. */
  keyHeader(apiKey: string | undefined): Record<string, string> {
    if (!apiKey) return {};
    return this.query === '' ? { authorization: `Bearer ${apiKey}` } : { 'api-key': apiKey };
  }
}
