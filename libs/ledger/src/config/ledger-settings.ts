import type { LedgerSettings } from '../ports/ledger-settings.interface.js';
import { PROFILE_NAMES } from './ledger-profiles.js';

/** Name of a setting as code writes it. @internal */
export type SettingOption = keyof LedgerSettings;

/** What a value must be; each kind is checked alike whatever source gave it. @internal */
export type SettingKind =
  | {
      readonly kind: 'integer';
      readonly min: number;
      readonly max: number;
      readonly orAuto?: true;
    }
  | { readonly kind: 'fraction' }
  | { readonly kind: 'choice'; readonly choices: readonly string[]; readonly orStore?: true }
  /** `orNone`: the word `none` switches off what needs the directory, whatever a lower source gives. */
  | { readonly kind: 'path'; readonly orNone?: true };

/** One row of the settings table. @internal */
export type LedgerSetting = SettingKind & {
  /** Value in force if nothing gives one; undefined only for `profile` and `journalDir`. */
  readonly default: string | number | undefined;
  /** What the setting does, with its unit; a cell of the table in docs/configure.md. */
  readonly about: string;
  /** Where default and range come from. */
  readonly source: string;
};

const MINUTES_10 = 600_000;

/**
 * Every setting that environment, INI file and code can give, in the order of the documented table.
 * Environment names, INI keys, validation, defaults and the table in docs/configure.md are derived from here.
 *
 * @internal
 */
export const LEDGER_SETTINGS = Object.freeze({
  profile: {
    kind: 'choice',
    choices: PROFILE_NAMES,
    default: undefined,
    about:
      'figures that the ledger finds itself, or those for a rate of requests, see the profiles',
    source: 'tuning guide, recommended configurations',
  },
  batchSize: {
    ...integerOrAuto(1, 100_000),
    default: 100,
    about: 'entries in a batch at most; not above `bufferSize`, and never more than 16 MiB',
    source: 'tuning guide, parameter 1; upper end: contract',
  },
  flushMs: {
    ...integerOrAuto(1, 3_600_000),
    default: 1_000,
    about: 'ms that the oldest entry waits at most before its batch is due',
    source: 'tuning guide, parameter 2; upper end: one hour',
  },
  bufferSize: {
    ...integerOrAuto(1, 10_000_000),
    default: 10_000,
    about: 'entries that the channel holds at most',
    source: 'tuning guide, parameter 3; upper end: ten times the ultra profile',
  },
  numWorkers: {
    ...integerOrAuto(1, 256),
    default: 1,
    about: 'batches written at once, each on a connection of its own',
    source: 'tuning guide, parameter 4; upper end: five times the ultra profile',
  },
  bufferMaxBytes: {
    ...integer(1_048_576, 8_589_934_592),
    default: 268_435_456,
    about: 'bytes that waiting rows take at most; whichever bound is met first counts as full',
    source: 'contract: 256 MiB, from one slab (1 MiB) to 8 GiB',
  },
  strategy: {
    kind: 'choice',
    choices: ['copy', 'insert'],
    default: 'copy',
    about: 'binary COPY, or INSERT from unnest where COPY is refused',
    source: 'contract, writing',
  },
  overflow: {
    kind: 'choice',
    choices: ['drop', 'block', 'disk'],
    default: 'drop',
    about: 'what happens when the channel is full; with a journal the default is `disk`',
    source: 'contract, settings',
  },
  unknownFields: {
    kind: 'choice',
    choices: ['count', 'reject'],
    default: 'count',
    about:
      'entries with a property that is not a field: recorded without it and counted, or invalid',
    source: 'contract, second wave',
  },
  blockTimeoutMs: {
    ...integer(1, MINUTES_10),
    default: 1_000,
    about: 'ms that a caller waits for room at most',
    source: 'contract, settings',
  },
  commitTimeoutMs: {
    ...integer(1, MINUTES_10),
    default: 30_000,
    about: 'ms that a caller waits for a commit at most',
    source: 'contract, settings',
  },
  maxWaiting: {
    ...integer(0, 1_000_000),
    default: 10_000,
    about: 'callers that may wait for room at once; above it the answer is `dropped`',
    source: 'contract; 0: nobody waits, upper end: each caller holds an entry of up to 16 KiB',
  },
  maxWaitingReads: {
    ...integer(0, 100_000),
    default: 100,
    about: 'reads that may wait for a connection at once; above it they reject with `busy`',
    source: '2 connections of 50 ms a read clear 100 in 2.5 s; 0: nobody waits, upper end: memory',
  },
  writeTimeoutMs: {
    ...integer(100, MINUTES_10),
    default: 30_000,
    about: 'ms for one attempt at one batch, a silent network included',
    source: "contract; lower end: the server's own time-outs must fit below it",
  },
  retryMinMs: {
    ...integer(1, MINUTES_10),
    default: 100,
    about: 'ms of the first back-off; not above `retryMaxMs`',
    source: 'contract, settings',
  },
  retryMaxMs: {
    ...integer(1, MINUTES_10),
    default: 5_000,
    about: 'ms of the longest back-off',
    source: 'contract, settings',
  },
  shutdownTimeoutMs: {
    ...integer(1, MINUTES_10),
    default: 10_000,
    about: 'ms that both shutdown hooks take together at most',
    source: 'contract, shutdown',
  },
  deadLetters: {
    kind: 'choice',
    choices: ['table', 'file'],
    orStore: true,
    default: 'table',
    about: 'where refused entries go; a store of your own in code',
    source: 'contract, settings',
  },
  spillDir: {
    kind: 'path',
    default: 'ledger-spill',
    about: 'directory for what could not be written at the drain deadline',
    source: 'contract, settings',
  },
  journalDir: {
    kind: 'path',
    orNone: true,
    default: undefined,
    about: 'directory of the journal, in which accepted entries survive the process',
    source: 'contract, second wave',
  },
  journalSync: {
    kind: 'choice',
    choices: ['turn', 'entry', 'power'],
    default: 'turn',
    about:
      'the journal writes each turn, with each entry, or each turn and synced for a loss of power',
    source: 'contract, second wave; figures: `npm run bench -- journal`',
  },
  journalMaxBytes: {
    ...integer(67_108_864, 1_099_511_627_776),
    default: 4_294_967_296,
    about: 'bytes of journal files at most',
    source: 'contract: 4 GiB; from four files (64 MiB) to 1 TiB',
  },
  journalKeepMs: {
    ...integer(0, 604_800_000),
    default: 0,
    about: 'ms that journal files are kept after their last entry was settled',
    source: 'contract: 0; upper end: one week',
  },
  role: {
    kind: 'choice',
    choices: ['both', 'gateway', 'writer'],
    default: 'both',
    about: 'with a stream: whether this process publishes entries to it, or writes what it takes',
    source: 'stream design: one process does both unless it says',
  },
  healthDegradedAt: {
    kind: 'fraction',
    default: 0.8,
    about: 'saturation from which health is degraded',
    source: 'contract, health',
  },
  healthDownAt: {
    kind: 'fraction',
    default: 0.95,
    about: 'saturation from which health is down; above `healthDegradedAt`',
    source: 'contract, health',
  },
  healthRecoverAt: {
    kind: 'fraction',
    default: 0.6,
    about: 'saturation below which health is up again; below `healthDegradedAt`',
    source: 'contract, health',
  },
} as const satisfies Record<SettingOption, LedgerSetting>);

/** Names of all settings, in the order of the table. @internal */
export const SETTING_OPTIONS = Object.freeze(
  Object.keys(LEDGER_SETTINGS),
) as readonly SettingOption[];

/** The row of one setting. @internal */
export function settingOf(option: SettingOption): LedgerSetting {
  return LEDGER_SETTINGS[option];
}

function integerOrAuto<Min extends number, Max extends number>(min: Min, max: Max) {
  return { ...integer(min, max), orAuto: true } as const;
}

function integer<Min extends number, Max extends number>(min: Min, max: Max) {
  return { kind: 'integer', min, max } as const;
}
