import { afterEach, describe, expect, it, vi } from 'vitest';
import { describeTarget } from './describe-target.js';

describe('describeTarget', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.each([
    [{ url: 'postgres://app:hush@10.0.0.5/meter' }, 'host 10.0.0.5:5432, database meter, user app'],
    [{ url: 'postgres://app:hush@[::1]:6432/meter' }, 'host [::1]:6432, database meter, user app'],
    [
      { url: 'postgres://app:hush@/meter?host=/tmp' },
      'socket /tmp/.s.PGSQL.5432, database meter, user app',
    ],
    [
      { host: 'db', port: 6432, username: 'app', password: 'hush', database: 'meter' },
      'host db:6432, database meter, user app',
    ],
    [
      { url: 'postgres://db/meter', username: 'app', password: 'hush' },
      'host db:5432, database meter, user app',
    ],
    [
      { url: 'postgres://app:hush@h1,h2:6432,%2Frun%2Fpg/meter' },
      'host h1:5432, host h2:6432, socket /run/pg/.s.PGSQL.5432, database meter, user app',
    ],
    [
      { replication: { master: { url: 'postgres://app@one/meter' }, slaves: [] } },
      'host one:5432, database meter, user app',
    ],
  ])('names host, database and user, and never the password', (options, expected) => {
    expect(describeTarget(options)).toBe(expected);
  });

  it("takes libpq's variables for missing options, like pg", () => {
    vi.stubEnv('PGHOST', 'from-environment');
    vi.stubEnv('PGUSER', 'worker');
    expect(describeTarget({})).toBe('host from-environment:5432, database worker, user worker');
  });

  it('shows no character that forges a line, and no password of an unreadable address', () => {
    const url = `postgres://app@db/${encodeURIComponent('a\nERROR forged')}`;
    expect(describeTarget({ url })).not.toContain('\n');
    expect(describeTarget({ url: 'postgres://app:hush@[::db/meter' })).not.toContain('hush');
  });
});
