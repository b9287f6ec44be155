import { describe, expect, it } from 'vitest';
import type { StreamStats } from '../ports/ledger-stats.interface.js';
import { troubleOf } from './advise.command.js';

const now = { state: 'running', health: 'down', healthReason: 'no answer', reason: null } as const;
const stream: StreamStats = {
  ...{ role: 'gateway', published: 0, publishedBytes: 0, publishMs: 0 },
  ...{ unacknowledged: 0, redelivered: 0, waiting: null },
};

describe('advise', () => {
  it('names the stream, and not the database, as what a gateway does not reach', () => {
    const away = { ...now, database: 'away' } as const;
    expect(troubleOf({ ...away, stream })).toMatch(/^the stream is down: no answer;/);
    expect(troubleOf({ ...away, stream: null })).toMatch(/^the database is down: no answer;/);
    const writer = { ...stream, role: 'writer' as const };
    expect(troubleOf({ ...away, stream: writer })).toMatch(/^the database is down/);
    const halted = { ...away, state: 'halted' } as const;
    expect(troubleOf({ ...halted, stream })).toMatch(/^the stream refuses every batch/);
  });
});
