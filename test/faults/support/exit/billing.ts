import { defineLedger } from 'nestjs-ledger';

/** A second ledger of the same application. */
export const billing = defineLedger({ name: 'billing', table: 'billing_entries' });
