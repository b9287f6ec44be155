import { defineLedger } from 'nestjs-ledger';

/** One entry for each call of the model. */
export const usage = defineLedger({ columns: { model: 'text' } });
