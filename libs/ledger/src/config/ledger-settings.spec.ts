import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { OptionsFault } from '../errors/ledger-options.error.js';
import { LEDGER_PROFILES } from './ledger-profiles.js';
import { SETTING_OPTIONS, settingOf } from './ledger-settings.js';
import type { LedgerOptions, ResolvedLedgerOptions } from './ledger-options.interface.js';
import { readLedgerConfig } from './read-ledger-config.js';
import { renderSettingsTable } from './render-settings-table.js';
import { resolveLedgerOptions } from './resolve-ledger-options.js';

/** Option, environment name, default, lower and upper bound, one beyond each. */
const NUMBERS = [
  ['batchSize', 'LEDGER_ASYNC_BATCH_SIZE', 100, 1, 100_000, 0, 100_001],
  ['flushMs', 'LEDGER_ASYNC_FLUSH_MS', 1000, 1, 3_600_000, 0, 3_600_001],
  ['bufferSize', 'LEDGER_ASYNC_BUFFER_SIZE', 10_000, 1, 10_000_000, 0, 10_000_001],
  ['numWorkers', 'LEDGER_ASYNC_NUM_WORKERS', 1, 1, 256, 0, 257],
  [
    'bufferMaxBytes',
    'LEDGER_ASYNC_BUFFER_MAX_BYTES',
    2 ** 28,
    2 ** 20,
    2 ** 33,
    2 ** 20 - 1,
    2 ** 33 + 1,
  ],
  ['blockTimeoutMs', 'LEDGER_ASYNC_BLOCK_TIMEOUT_MS', 1000, 1, 600_000, 0, 600_001],
  ['commitTimeoutMs', 'LEDGER_ASYNC_COMMIT_TIMEOUT_MS', 30_000, 1, 600_000, 0, 600_001],
  ['maxWaiting', 'LEDGER_ASYNC_MAX_WAITING', 10_000, 0, 1_000_000, -1, 1_000_001],
  ['maxWaitingReads', 'LEDGER_ASYNC_MAX_WAITING_READS', 100, 0, 100_000, -1, 100_001],
  ['writeTimeoutMs', 'LEDGER_ASYNC_WRITE_TIMEOUT_MS', 30_000, 100, 600_000, 99, 600_001],
  ['retryMinMs', 'LEDGER_ASYNC_RETRY_MIN_MS', 100, 1, 600_000, 0, 600_001],
  ['retryMaxMs', 'LEDGER_ASYNC_RETRY_MAX_MS', 5000, 1, 600_000, 0, 600_001],
  ['shutdownTimeoutMs', 'LEDGER_ASYNC_SHUTDOWN_TIMEOUT_MS', 10_000, 1, 600_000, 0, 600_001],
  [
    'journalMaxBytes',
    'LEDGER_ASYNC_JOURNAL_MAX_BYTES',
    2 ** 32,
    2 ** 26,
    2 ** 40,
    2 ** 26 - 1,
    2 ** 40 + 1,
  ],
  ['journalKeepMs', 'LEDGER_ASYNC_JOURNAL_KEEP_MS', 0, 0, 604_800_000, -1, 604_800_001],
  ['healthDegradedAt', 'LEDGER_ASYNC_HEALTH_DEGRADED_AT', 0.8, 0.001, 1, 0, 1.001],
  ['healthDownAt', 'LEDGER_ASYNC_HEALTH_DOWN_AT', 0.95, 0.001, 1, 0, 1.001],
  ['healthRecoverAt', 'LEDGER_ASYNC_HEALTH_RECOVER_AT', 0.6, 0.001, 1, 0, 1.001],
] as const;

const CHOICES = [
  ['strategy', 'LEDGER_ASYNC_STRATEGY', 'copy', ['copy', 'insert']],
  ['overflow', 'LEDGER_ASYNC_OVERFLOW', 'drop', ['drop', 'block']],
  ['journalSync', 'LEDGER_ASYNC_JOURNAL_SYNC', 'turn', ['turn', 'entry', 'power']],
  ['unknownFields', 'LEDGER_ASYNC_UNKNOWN_FIELDS', 'count', ['count', 'reject']],
  ['role', 'LEDGER_ASYNC_ROLE', 'both', ['both', 'gateway', 'writer']],
  ['deadLetters', 'LEDGER_ASYNC_DEAD_LETTERS', 'table', ['table', 'file']],
  ['profile', 'LEDGER_ASYNC_PROFILE', undefined, ['low', 'medium', 'high', 'very-high', 'ultra']],
] as const;

/** Values that satisfy the rules between two settings while one of them is at its bound. */
const ROOM: LedgerOptions = {
  bufferSize: 10_000_000,
  batchSize: 1,
  retryMinMs: 1,
  retryMaxMs: 600_000,
};

function faultsOf(work: () => unknown): readonly OptionsFault[] {
  try {
    work();
  } catch (error) {
    if (isLedgerError(error, 'LEDGER_OPTIONS')) return error.faults;
    throw error;
  }
  return [];
}

function fromEnvironment(
  name: string,
  text: string,
  rest: LedgerOptions = {},
): ResolvedLedgerOptions {
  return resolveLedgerOptions(
    readLedgerConfig('default', { defaults: rest }, { [name]: text }),
    256,
  );
}

function marksAround(option: string, value: number): LedgerOptions {
  const marks = { healthRecoverAt: value / 4, healthDegradedAt: value / 2, healthDownAt: 1 };
  if (option === 'healthRecoverAt') marks.healthDegradedAt = (1 + value) / 2;
  return option.startsWith('health') ? marks : ROOM;
}

describe('the settings table', () => {
  it.each(NUMBERS)('%s (%s) is %d by default', (option, _name, value) => {
    const resolved = resolveLedgerOptions({});
    expect(resolved[option]).toBe(value);
    expect(resolved.settings[option]).toEqual({ value, source: 'default' });
  });

  it.each(NUMBERS)('%s (%s) takes its lower and its upper bound', (option, name, ...figures) => {
    const [, low, high] = figures;
    for (const value of [low, high]) {
      // The marks of health can't all be at a bound at once; the rule of one is looked at alone.
      const rest = { ...marksAround(option, value), [option]: undefined };
      const code = faultsOf(() => resolveLedgerOptions({ ...rest, [option]: value }));
      const environment = faultsOf(() => fromEnvironment(name, String(value), rest));
      const own = [...code, ...environment].filter(({ rule }) => !/which is/.test(rule));
      expect(own).toEqual([]);
    }
  });

  it.each(NUMBERS)('%s (%s) refuses one below and one above', (option, name, ...figures) => {
    const [, , , below, above] = figures;
    for (const value of [below, above]) {
      const rule = expect.stringMatching(/^must be a (whole )?number /);
      expect(faultsOf(() => resolveLedgerOptions({ [option]: value }))).toContainEqual({
        name: option,
        value: String(value),
        rule,
        source: 'code',
      });
      expect(faultsOf(() => fromEnvironment(name, String(value)))).toContainEqual({
        name,
        value: String(value),
        rule,
        source: 'environment',
      });
    }
  });

  it.each(CHOICES)('%s (%s) takes its choices only', (option, name, value, choices) => {
    expect(resolveLedgerOptions({})[option]).toBe(value);
    for (const choice of choices) expect(fromEnvironment(name, choice)[option]).toBe(choice);
    for (const wrong of ['', 'COPY', 'spill', choices.join(' ')]) {
      const [fault] = faultsOf(() => fromEnvironment(name, wrong));
      expect(fault).toMatchObject({ name, source: 'environment' });
      expect(fault?.rule).toContain(choices.join(', '));
    }
  });

  it('takes any path but an empty one for spillDir', () => {
    expect(resolveLedgerOptions({}).spillDir).toBe('ledger-spill');
    expect(fromEnvironment('LEDGER_ASYNC_SPILL_DIR', ' /var/spill ').spillDir).toBe('/var/spill');
    for (const wrong of ['', '  ', 'a\0b']) {
      expect(faultsOf(() => fromEnvironment('LEDGER_ASYNC_SPILL_DIR', wrong))).toHaveLength(1);
    }
  });

  it('takes any path but an empty one for journalDir, and has none by default', () => {
    expect(resolveLedgerOptions({}).journalDir).toBeUndefined();
    expect(resolveLedgerOptions({}).settings).not.toHaveProperty('journalDir');
    const { journalDir, settings } = fromEnvironment('LEDGER_ASYNC_JOURNAL_DIR', '/var/journal');
    expect(journalDir).toBe('/var/journal');
    expect(settings['journalDir']).toEqual({ value: '/var/journal', source: 'environment' });
    for (const wrong of ['', '  ', 'a\0b']) {
      expect(faultsOf(() => fromEnvironment('LEDGER_ASYNC_JOURNAL_DIR', wrong))).toHaveLength(1);
    }
  });

  it('has no journal where a higher source says none, though a lower one names a directory', () => {
    const journalDir = '/journal';
    const resolved = fromEnvironment('LEDGER_ASYNC_JOURNAL_DIR', ' none ', { journalDir });
    expect(resolved.journalDir).toBeUndefined();
    expect(resolved.overflow).toBe('drop');
    expect(resolveLedgerOptions({ journalDir: './none' }).journalDir).toBe('./none');
    expect(resolveLedgerOptions({ spillDir: 'none' }).spillDir).toBe('none');
  });

  it('lets the channel reach to the disk by default with a journal, and refuses that without one', () => {
    const withJournal = { journalDir: '/journal' };
    expect(resolveLedgerOptions(withJournal)).toMatchObject({ overflow: 'disk' });
    expect(resolveLedgerOptions(withJournal).settings['overflow']).toEqual({
      value: 'disk',
      source: 'default',
    });
    for (const overflow of ['drop', 'block', 'disk'] as const) {
      expect(resolveLedgerOptions({ ...withJournal, overflow }).overflow).toBe(overflow);
    }
    expect(faultsOf(() => fromEnvironment('LEDGER_ASYNC_OVERFLOW', 'disk'))).toEqual([
      {
        name: 'LEDGER_ASYNC_OVERFLOW',
        value: 'disk',
        rule: 'needs a journal: set journalDir as well',
        source: 'environment',
      },
    ]);
  });

  it('has every setting in the table above', () => {
    const tested = [...NUMBERS, ...CHOICES].map(([option]) => option);
    expect([...tested, 'spillDir', 'journalDir'].sort()).toEqual([...SETTING_OPTIONS].sort());
  });

  it('is rendered as a table with name, default and rule of every setting', () => {
    const lines = renderSettingsTable().trimEnd().split('\n');
    expect(lines).toHaveLength(SETTING_OPTIONS.length + 2);
    expect(lines).toContain(
      '| `flushMs` | `LEDGER_ASYNC_FLUSH_MS` | 1,000 | a whole number from 1 to 3,600,000, or auto ' +
        `| ${settingOf('flushMs').about} |`,
    );
  });
});

describe('numbers written as text', () => {
  it.each([
    ['50000', 50_000],
    [' 50000\t', 50_000],
    ['50_000', 50_000],
    ['0100', 100],
  ])('reads %j as %d', (text, value) => {
    expect(fromEnvironment('LEDGER_ASYNC_BUFFER_SIZE', text).bufferSize).toBe(value);
  });

  it.each(['', ' ', '12abc', '1e3', '0x10', '5.0', '-5', '+5', '1,000', '_1', '1__0', 'NaN'])(
    'refuses %j and shows it',
    (text) => {
      const faults = faultsOf(() => fromEnvironment('LEDGER_ASYNC_BUFFER_SIZE', text));
      expect(faults).toEqual([
        {
          name: 'LEDGER_ASYNC_BUFFER_SIZE',
          value: text.trim() === '' ? expect.stringMatching(/^""$|^ $/) : text,
          rule: 'must be a whole number from 1 to 10,000,000, or auto',
          source: 'environment',
        },
      ]);
    },
  );

  it.each([
    ['.9', 0.9],
    ['0.90', 0.9],
    ['0.9 ', 0.9],
  ])('reads the mark %j as %d', (text, value) => {
    expect(fromEnvironment('LEDGER_ASYNC_HEALTH_DOWN_AT', text).healthDownAt).toBe(value);
  });

  it.each(['95%', '9e-1', '', '0,9', 'high'])('refuses the mark %j', (text) => {
    expect(faultsOf(() => fromEnvironment('LEDGER_ASYNC_HEALTH_DOWN_AT', text))).toHaveLength(1);
  });
});

describe('auto', () => {
  it.each([
    ['LEDGER_ASYNC_BATCH_SIZE', 'batchSize'],
    ['LEDGER_ASYNC_FLUSH_MS', 'flushMs'],
    ['LEDGER_ASYNC_BUFFER_SIZE', 'bufferSize'],
    ['LEDGER_ASYNC_NUM_WORKERS', 'numWorkers'],
  ] as const)('is taken by %s, with spaces around it, and alone', (name, option) => {
    expect(fromEnvironment(name, ' auto ')[option]).toBe('auto');
    for (const wrong of ['Auto', 'automatic', 'auto 5', '']) {
      expect(faultsOf(() => fromEnvironment(name, wrong))).toMatchObject([
        { name, rule: expect.stringMatching(/^must be a whole number from .*, or auto$/) },
      ]);
    }
  });

  it.each(['LEDGER_ASYNC_BUFFER_MAX_BYTES', 'LEDGER_ASYNC_RETRY_MIN_MS'])(
    'is refused by %s, which nothing finds',
    (name) => {
      expect(faultsOf(() => fromEnvironment(name, 'auto'))).toHaveLength(1);
    },
  );

  it('begins with one worker on one core, and fits its batches into a buffer that was given', () => {
    const { figures } = resolveLedgerOptions({ profile: 'auto', bufferSize: 900 }, 1);
    expect(figures).toMatchObject({ batchSize: 300, enough: 300, numWorkers: 1, capacity: 900 });
    const fixed = resolveLedgerOptions({ batchSize: 'auto', numWorkers: 8 }, 8);
    expect(fixed.figures).toMatchObject({
      batchSize: 1_000,
      enough: 1_000,
      numWorkers: 8,
      mostWorkers: 8,
    });
    expect(fixed.warnings).toEqual([]);
  });

  it('contradicts no bound of a figure that was given', () => {
    const options = { batchSize: 100_000, bufferSize: 'auto' } as const;
    expect(resolveLedgerOptions(options, 4).figures.capacity).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('profiles', () => {
  it("carry exactly the guide's figures", () => {
    expect(LEDGER_PROFILES).toEqual({
      low: { batchSize: 50, flushMs: 2000, bufferSize: 5000, numWorkers: 1 },
      medium: { batchSize: 100, flushMs: 1000, bufferSize: 10_000, numWorkers: 2 },
      high: { batchSize: 500, flushMs: 500, bufferSize: 50_000, numWorkers: 5 },
      'very-high': { batchSize: 2000, flushMs: 200, bufferSize: 200_000, numWorkers: 10 },
      ultra: {
        batchSize: 10_000,
        flushMs: 100,
        bufferSize: 1_000_000,
        numWorkers: 50,
        bufferMaxBytes: 2 ** 30,
      },
    });
  });

  it('set all four figures to auto, a figure by name first', () => {
    const auto = { batchSize: 'auto', flushMs: 'auto', bufferSize: 'auto', numWorkers: 'auto' };
    expect(fromEnvironment('LEDGER_ASYNC_PROFILE', 'auto')).toMatchObject(auto);
    const resolved = resolveLedgerOptions({ profile: 'auto', flushMs: 40 }, 4);
    expect(resolved).toMatchObject({ ...auto, flushMs: 40 });
    expect(resolved.settings).toMatchObject({
      batchSize: { value: 'auto', source: 'code', profile: 'auto' },
      flushMs: { value: 40, source: 'code' },
    });
    expect(resolved.figures).toEqual({
      batchSize: 10_000,
      enough: 1_500,
      batchBytes: 2 ** 26,
      flushMs: 40,
      capacity: Number.POSITIVE_INFINITY,
      numWorkers: 2,
      mostWorkers: 16,
    });
    expect(resolved.warnings).toEqual([]);
  });

  it('are frozen', () => {
    expect(Object.isFrozen(LEDGER_PROFILES)).toBe(true);
    expect(Object.values(LEDGER_PROFILES).every(Object.isFrozen)).toBe(true);
  });

  it.each(Object.entries(LEDGER_PROFILES))('%s puts its figures in force', (name, figures) => {
    expect(fromEnvironment('LEDGER_ASYNC_PROFILE', name)).toMatchObject(figures);
  });
});
