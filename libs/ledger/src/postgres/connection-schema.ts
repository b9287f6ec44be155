import type { DataSource } from 'typeorm';

/**
 * The schema of a DataSource's own options, where a ledger without one lives.
 *
 * @internal
 */
export function connectionSchema(dataSource: DataSource): string | undefined {
  const { options } = dataSource;
  return options.type === 'postgres' ? options.schema : undefined;
}
