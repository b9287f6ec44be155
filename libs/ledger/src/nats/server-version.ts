/**
 * In earlier versions the copies of a stream can become different. Each server decides for itself whether it has a message
 * already, or has room for it, and then numbers later ones differently. Source: `processJetStreamMsg` in
 * https://github.com/nats-io/nats-server/blob/v2.9.10/server/stream.go, and `processClusteredInboundMsg` in
 * https://github.com/nats-io/nats-server/blob/v2.10.14/server/jetstream_cluster.go
 */
const FIRST_RELIABLE = '2.10.14';

/** Whether a cluster of servers of that version keeps the copies of a stream equal. @internal */
export function isReliable(version: string): boolean {
  return compareVersions(version, FIRST_RELIABLE) >= 0;
}

/** For `sort`, oldest first. @internal */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  const at = left.findIndex((number, index) => number !== right[index]);
  return at === -1 ? 0 : left[at]! - (right[at] ?? 0);
}

function numbersOf(version: string): number[] {
  return version.split('.').map((part) => Number.parseInt(part, 10));
}
