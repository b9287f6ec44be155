import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assembleLedger, type Ledger } from '../../libs/ledger/src/assemble-ledger.js';
import { systemClock } from '../../libs/ledger/src/clock/clock.js';
import { newRun } from '../../libs/ledger/src/codec/uuid.js';
import { resolveLedgerOptions } from '../../libs/ledger/src/config/resolve-ledger-options.js';
import { journalOf } from '../../libs/ledger/src/create-journal.js';
import { EarlierFiles } from '../../libs/ledger/src/journal/earlier-files.js';
import type {
  JournalSync,
  LedgerSettings,
} from '../../libs/ledger/src/ports/ledger-settings.interface.js';
import type { LedgerSink } from '../../libs/ledger/src/ports/ledger-sink.interface.js';
import { definitionOf, type EntryKind } from './entries.js';

const silent = (): void => undefined;

export interface MemoryLedgerOptions extends LedgerSettings {
  /** Without it there is no journal; with it there is one in a separate folder. */
  readonly journalSync?: JournalSync | undefined;
}

/** A folder on disk for this run. */
export function makeJournalDir(): string {
  return mkdtempSync(join(tmpdir(), 'nestjs-ledger-bench-journal-'));
}

/** A running ledger without a database; `close` removes its journal. */
export function createMemoryLedger(
  kind: EntryKind,
  sink: LedgerSink,
  { journalSync, ...settings }: MemoryLedgerOptions,
): { ledger: Ledger; close: () => Promise<void> } {
  const journalDir = journalSync && makeJournalDir();
  const options = resolveLedgerOptions({ ...settings, journalSync, journalDir });
  const table = definitionOf(kind);
  const run = newRun();
  const clock = systemClock;
  const ledger = assembleLedger({
    table,
    options,
    run,
    sink,
    deadLetters: { store: async () => undefined },
    spills: { probe: async () => undefined, spill: async () => ({ file: '', entries: 0 }) },
    ...journalOf({
      table,
      options,
      run,
      target: () => ({ table: table.table }),
      clock,
      earlier: new EarlierFiles(),
    }),
    clock,
    logger: { log: silent, warn: silent, error: silent },
  });
  void ledger.writer.start(silent);
  const close = async (): Promise<void> => {
    await ledger.shutdown.finish();
    if (journalDir !== undefined) await rm(journalDir, { recursive: true, force: true });
  };
  return { ledger, close };
}
