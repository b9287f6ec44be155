import { defineLedger } from 'nestjs-ledger';

/**
 * The gateway's ledger: users and keys are known by text, as in OpenAI's protocol, and each entry
 * says which model was asked and what that cost, in billionths of a US dollar.
 */
export const usage = defineLedger({
  ids: 'text',
  columns: { model: 'text', costNanos: 'bigint' },
  rollup: true,
});
