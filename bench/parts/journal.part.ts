import { measureDurableWaits } from './journal/durable-wait.js';
import { measureHeldResponses } from './journal/held-response.js';
import { measureRecordCost } from './journal/record-cost.js';
import { measureRestart } from './journal/restart.js';
import { measureRowsWritten } from './journal/rows-written.js';
import type { Part } from './part.js';

/**
 * The cost of the journal, and the speed at which its rows reach the table after a process was
 * killed.
 */
export const journal: Part = {
  name: 'journal',
  title: 'The journal: accepted entries on disk until they are settled',
  async run(bench) {
    await measureRecordCost(bench);
    await measureDurableWaits(bench);
    await measureRowsWritten(bench);
    await measureHeldResponses(bench);
    await measureRestart(bench);
  },
};
