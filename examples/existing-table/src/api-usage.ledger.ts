import { defineLedger } from 'nestjs-ledger';

/** The table that was there, and the column of its own that entries go on filling. */
export const apiUsage = defineLedger({ table: 'api_usage', columns: { model: 'text' } });
