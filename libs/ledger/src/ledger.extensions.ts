import type { TableExtension } from './postgres/sql-migration.interface.js';
import { rollupExtension } from './rollup/rollup-extension.js';

/** Additions of this package's optional folders to a ledger's tables. @internal */
export const tableExtensions: readonly TableExtension[] = [rollupExtension];
