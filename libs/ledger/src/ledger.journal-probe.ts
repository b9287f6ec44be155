import { resolve } from 'node:path';
import type { Ledger } from './assemble-ledger.js';
import { environmentName } from './config/setting-names.js';
import { LedgerOptionsError } from './errors/ledger-options.error.js';
import { probeJournalFolder } from './journal/probe-folder.js';

/**
 * Tries the folder of a ledger's journals before the first entry. A temporary fault, such as a full
 * disk, makes the journal `degraded`, and it is tried again every five seconds.
 *
 * @param name of the ledger
 * @throws LedgerOptionsError if the path, its owner or its mode must be changed before a write
 * @internal
 */
export async function probeJournal(ledger: Ledger, name: string): Promise<void> {
  const { journal, options, logger } = ledger;
  const { journalDir, journalSync } = options;
  if (journal === undefined || journalDir === undefined) return;
  const syncs = journalSync === 'power';
  const probed = await probeJournalFolder({ journalDir: resolve(journalDir), ledger: name, syncs });
  const { fault, risk } = probed;
  if (risk !== undefined) logger.warn(`WARNING: journalDir is not safe: ${risk}`);
  if (fault === undefined) return;
  if (!fault.isLasting) return journal.degrade(fault.error);
  const { source = 'code' } = options.settings['journalDir'] ?? {};
  const spelled = source === 'environment' ? environmentName('journalDir', name) : 'journalDir';
  const rule = `must be a folder that this process can write to (${fault.reason})`;
  throw new LedgerOptionsError([{ name: spelled, value: journalDir, rule, source }]);
}
