import type { DataSource } from 'typeorm';

/** The schema in a DataSource's options, used for a ledger without one. @internal */
export function connectionSchema(dataSource: DataSource): string | undefined {
  const { options } = dataSource;
  return options.type === 'postgres' ? options.schema : undefined;
}
