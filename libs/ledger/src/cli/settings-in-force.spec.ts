import { availableParallelism } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AUTO_FIRST_WORKERS } from '../tuning/auto-limits.js';
import { readSettingsInForce } from './settings-in-force.js';

describe('settings in force', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('have the workers that a writer of a stream keeps with auto, which tunes nothing there', () => {
    vi.stubEnv('LEDGER_ASYNC_NUM_WORKERS', 'auto');
    expect(readSettingsInForce('default').numWorkers).toBe('auto');
    vi.stubEnv('LEDGER_ASYNC_ROLE', 'writer');
    const kept = Math.min(AUTO_FIRST_WORKERS, availableParallelism());
    expect(readSettingsInForce('default').numWorkers).toBe(kept);
  });
});
