import { defineLedger } from 'nestjs-ledger';

/** What is billed. Settings: LEDGER_USAGE_ASYNC_… */
export const usage = defineLedger({
  name: 'usage',
  ids: 'text',
  columns: { model: 'text', costNanos: 'bigint' },
});

/** Who did what. A table of its own, with other columns. Settings: LEDGER_AUDIT_ASYNC_… */
export const audit = defineLedger({
  name: 'audit',
  table: 'audit_entries',
  ids: 'text',
  columns: { action: 'text', subject: 'uuid', details: 'jsonb' },
});
