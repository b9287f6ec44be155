const POSTGRES_URL = /^postgres(?:ql)?:\/\/./i;

/** The rule that a URL breaks; TypeORM and pg would say it later, or never at boot. @internal */
export function brokenUrlRule(url: string): string | undefined {
  if (!POSTGRES_URL.test(url)) return 'must be a URL that begins with postgres:// or postgresql://';
  try {
    decodeURIComponent(new URL(url).href);
    return undefined;
  } catch {
    return 'must be a URL, with special characters of user and password percent-encoded';
  }
}
