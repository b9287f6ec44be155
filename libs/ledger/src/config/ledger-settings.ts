import type { LedgerSettings } from '../ports/ledger-settings.interface.js';
import { PROFILE_NAMES } from './ledger-profiles.js';

/** Name of a setting as code writes it. @internal */
export type SettingOption = keyof LedgerSettings;

/** The type of a value. Each type is checked in the same way for every source. @internal */
export type SettingKind =
  | {
      readonly kind: 'integer';
      readonly min: number;
      readonly max: number;
      readonly orAuto?: true;
    }
  | { readonly kind: 'fraction' }
  | { readonly kind: 'choice'; readonly choices: readonly string[]; readonly orStore?: true }
  /** `orNone`: the word `none` disables the directory's feature, even if a lower source sets a path. */
  | { readonly kind: 'path'; readonly orNone?: true };

/** One row of the settings table. @internal */
export type LedgerSetting = SettingKind & {
  /** Default value; undefined only for `profile` and `journalDir`. */
  readonly default: string | number | undefined;
  /** Meaning and unit of the setting; a cell of the table in docs/configure.md. */
  readonly about: string;
  /** Source of default and range. */
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
      'figures that the ledger finds itself, or figures for a rate of requests; see the profiles',
    source: 'tuning guide, recommended configurations',
  },
  batchSize: {
    ...integerOrAuto(1, 100_000),
    default: 100,
    about: 'maximum entries of a batch; at most `bufferSize`, and never more than 16 MiB',
    source: 'tuning guide, parameter 1; upper end: contract',
  },
  flushMs: {
    ...integerOrAuto(1, 3_600_000),
    default: 1_000,
    about: 'maximum age of the oldest entry in ms before its batch is due',
    source: 'tuning guide, parameter 2; upper end: one hour',
  },
  bufferSize: {
    ...integerOrAuto(1, 10_000_000),
    default: 10_000,
    about: 'maximum entries in the channel',
    source: 'tuning guide, parameter 3; upper end: ten times the ultra profile',
  },
  numWorkers: {
    ...integerOrAuto(1, 256),
    default: 1,
    about: 'batches written in parallel, each on its own connection',
    source: 'tuning guide, parameter 4; upper end: five times the ultra profile',
  },
  bufferMaxBytes: {
    ...integer(1_048_576, 8_589_934_592),
    default: 268_435_456,
    about: 'maximum bytes of waiting rows; the channel is full at whichever bound is reached first',
    source: 'contract: 256 MiB, from one slab (1 MiB) to 8 GiB',
  },
  strategy: {
    kind: 'choice',
    choices: ['copy', 'insert'],
    default: 'copy',
    about: 'binary COPY, or INSERT from unnest if COPY is refused',
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
    about: 'entries with an unknown property: recorded without it and counted, or invalid',
    source: 'contract, second wave',
  },
  blockTimeoutMs: {
    ...integer(1, MINUTES_10),
    default: 1_000,
    about: 'maximum wait of a caller for room in ms',
    source: 'contract, settings',
  },
  commitTimeoutMs: {
    ...integer(1, MINUTES_10),
    default: 30_000,
    about: 'maximum wait of a caller for a commit in ms',
    source: 'contract, settings',
  },
  maxWaiting: {
    ...integer(0, 1_000_000),
    default: 10_000,
    about: 'maximum number of callers that wait for room; others get `dropped`',
    source: 'contract; 0: nobody waits, upper end: each caller holds an entry of up to 16 KiB',
  },
  maxWaitingReads: {
    ...integer(0, 100_000),
    default: 100,
    about: 'maximum number of reads that wait for a connection; others reject with `busy`',
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
    about: 'maximum ms that both shutdown hooks take together',
    source: 'contract, shutdown',
  },
  deadLetters: {
    kind: 'choice',
    choices: ['table', 'file'],
    orStore: true,
    default: 'table',
    about: 'destination of refused entries; your own store in code',
    source: 'contract, settings',
  },
  spillDir: {
    kind: 'path',
    default: 'ledger-spill',
    about: 'directory for entries that are left at the drain deadline',
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
      'the journal writes every turn, every entry, or every turn with a sync against a loss of power',
    source: 'contract, second wave; figures: `npm run bench -- journal`',
  },
  journalMaxBytes: {
    ...integer(67_108_864, 1_099_511_627_776),
    default: 4_294_967_296,
    about: 'maximum bytes of journal files, for each ledger in each process',
    source: 'contract: 4 GiB; from four files (64 MiB) to 1 TiB',
  },
  journalKeepMs: {
    ...integer(0, 604_800_000),
    default: 0,
    about: 'ms that journal files are kept after their last entry is settled',
    source: 'contract: 0; upper end: one week',
  },
  role: {
    kind: 'choice',
    choices: ['both', 'gateway', 'writer'],
    default: 'both',
    about: 'with a stream: whether this process publishes entries, or writes those of the stream',
    source: 'stream design: one process does both unless it says',
  },
  healthDegradedAt: {
    kind: 'fraction',
    default: 0.8,
    about: 'health is degraded from this saturation on',
    source: 'contract, health',
  },
  healthDownAt: {
    kind: 'fraction',
    default: 0.95,
    about: 'health is down from this saturation on; above `healthDegradedAt`',
    source: 'contract, health',
  },
  healthRecoverAt: {
    kind: 'fraction',
    default: 0.6,
    about: 'health is up again below this saturation; below `healthDegradedAt`',
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
