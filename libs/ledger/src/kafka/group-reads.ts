import type { Admin } from '@platformatic/kafka';
import type { StreamHeaders } from '../ports/ledger-stream.interface.js';
import { isForReader } from '../stream/message-format.js';
import { parseColumns } from '../stream/row-layout.js';

/**
 * Whether any running writer can read a message, from the columns that each published when it
 * joined the group. True if there is no writer, while one joins, and if one published nothing, like
 * those of other programs.
 *
 * @throws the client's errors
 * @internal
 */
export async function readGroupReads(
  admin: Admin,
  group: string,
): Promise<(headers: StreamHeaders) => boolean> {
  const members = [
    ...((await admin.describeGroups({ groups: [group] })).get(group)?.members ?? []),
  ];
  const all = members.map(([, { metadata }]) => parseColumns(metadata?.metadata?.toString()));
  return (headers) =>
    all.length === 0 || all.some((own) => own === undefined || isForReader(headers, own));
}
