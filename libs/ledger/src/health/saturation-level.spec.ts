import { describe, expect, it } from 'vitest';
import { SaturationLevel } from './saturation-level.js';

const MARKS = { healthDegradedAt: 0.8, healthDownAt: 0.95, healthRecoverAt: 0.6 };

describe('SaturationLevel', () => {
  it.each([
    ['starts up and stays so below the upper marks', [0, 0.6, 0.79], ['up', 'up', 'up']],
    ['goes from up to degraded at the mark', [0.8], ['degraded']],
    ['goes from degraded to down at the mark', [0.8, 0.94, 0.95], ['degraded', 'degraded', 'down']],
    ['goes from up to down at once', [0.95], ['down']],
    ['stays down until it is below the degraded mark', [1, 0.9, 0.8], ['down', 'down', 'down']],
    ['goes from down to degraded below that mark', [1, 0.79], ['down', 'degraded']],
    ['stays degraded down to the recover mark', [1, 0.7, 0.6], ['down', 'degraded', 'degraded']],
    ['goes from degraded to up below the recover mark', [0.8, 0.59], ['degraded', 'up']],
    ['goes from down to up at once', [1, 0.1], ['down', 'up']],
    ['goes up and down again', [0.8, 0.1, 0.7, 0.8], ['degraded', 'up', 'up', 'degraded']],
    ['goes from degraded after down back to down', [1, 0.7, 0.95], ['down', 'degraded', 'down']],
  ])('%s', (_what, saturations, levels) => {
    const level = new SaturationLevel(MARKS);
    expect(saturations.map((saturation) => level.observe(saturation))).toEqual(levels);
  });
});
