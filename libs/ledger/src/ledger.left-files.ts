import type { Ledger } from './assemble-ledger.js';
import { ledgerCommand, quoteForShell } from './entry/ledger-command.js';
import type { LeftFiles } from './files/find-left-files.js';

/** What spills of earlier runs mean, and the command that writes them back. @internal */
export function describeLeft(left: LeftFiles, { table, options }: Ledger): string {
  const { dir, files, bytes, oldest } = left;
  const what = files === 1 ? '1 file' : `${files} files`;
  const replay = ledgerCommand(`replay ${quoteForShell(dir)}`, table, options.connection?.schema);
  // The command writes to PostgreSQL only.
  const remedy =
    options.sink === undefined ? replay : 'see docs/sinks.md on how to record them again';
  return (
    `${what} of earlier runs in ${dir} wait to be written back ` +
    `(${sizeOf(bytes)}, the oldest of ${new Date(oldest).toISOString()}): ${remedy}`
  );
}

function sizeOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  const kibibytes = bytes / 1024;
  return kibibytes < 1024 ? `${kibibytes.toFixed(1)} KiB` : `${(kibibytes / 1024).toFixed(1)} MiB`;
}
