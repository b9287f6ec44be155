import type { TableExtension } from './postgres/sql-migration.interface.js';
import { rollupExtension } from './rollup/rollup-extension.js';

/** What the optional folders of this package add to the tables of a ledger. @internal */
export const tableExtensions: readonly TableExtension[] = [rollupExtension];
