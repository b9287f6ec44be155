import type { Ledger } from './assemble-ledger.js';
import { ledgerCommand, quoteForShell } from './entry/ledger-command.js';
import type { LeftFiles } from './files/find-left-files.js';

/** Describes spills of earlier runs, and the command that writes them back. @internal */
export function describeLeft(left: LeftFiles, { table, options }: Ledger): string {
  const { dir, files, bytes, oldest } = left;
  const what = files === 1 ? '1 file' : `${files} files`;
  const replay = ledgerCommand(`replay ${quoteForShell(dir)}`, table, options.connection?.schema);
  return (
    `${what} of earlier runs in ${dir} wait to be written back ` +
    `(${sizeOf(bytes)}, the oldest of ${new Date(oldest).toISOString()}): ${remedyOf(options, replay)}`
  );
}

/** The command writes to PostgreSQL only. */
function remedyOf({ sink, role }: Ledger['options'], replay: string): string {
  if (sink !== undefined) return 'see docs/sinks.md on how to record them again';
  // A gateway has no database, and often no network path to one.
  return role === 'gateway'
    ? `with the address of the writers' database, where it can be reached: ${replay} --database-url <url>`
    : replay;
}

function sizeOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  const kibibytes = bytes / 1024;
  return kibibytes < 1024 ? `${kibibytes.toFixed(1)} KiB` : `${(kibibytes / 1024).toFixed(1)} MiB`;
}
