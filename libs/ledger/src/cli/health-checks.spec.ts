import { describe, expect, it } from 'vitest';
import { judgeClock } from './health-checks.js';

describe('the clock check of doctor', () => {
  it('allows for the difference that the network can explain', () => {
    expect(judgeClock(900, 5).status).toBe('ok');
    expect(judgeClock(-1_500, 800).status).toBe('ok');
    expect(judgeClock(-1_500, 5)).toMatchObject({ status: 'warning', check: 'clock' });
    expect(judgeClock(90_000, 5).status).toBe('fault');
  });

  it('says by how much the clock is behind or ahead', () => {
    expect(judgeClock(-1_499.6, 5).message).toBe("the server's clock is 1500 ms behind");
    expect(judgeClock(1_500, 5).message).toBe("the server's clock is 1500 ms ahead");
  });
});
