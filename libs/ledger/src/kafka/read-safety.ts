import type { Admin } from '@platformatic/kafka';
import type { StreamSafety } from '../ports/ledger-stream.interface.js';
import { readTopicSettings } from './topic-settings.js';

/**
 * Settings of a topic that determine possible losses. Source:
 * https://kafka.apache.org/documentation/#topicconfigs
 */
const DECISIVE = [
  'min.insync.replicas',
  'unclean.leader.election.enable',
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'flush.messages',
  'flush.ms',
];

/** The setting with which a person makes brokers sync messages first. */
const SYNC_SETTING = '`flush.messages=1` on the topic';

/**
 * The safety of a topic's messages, for the partition with the fewest copies.
 *
 * @throws the client's errors
 * @internal
 */
export async function readSafety(admin: Admin, topic: string): Promise<StreamSafety> {
  const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
  const { partitions } = metadata.topics.get(topic)!;
  const all = await readTopicSettings(admin, topic);
  const settings = Object.fromEntries(DECISIVE.map((name) => [name, all.get(name) ?? '']));
  const copies = Math.min(...partitions.map(({ replicas }) => replicas.length));
  // All replicas in sync must acknowledge, and this is their minimum number.
  const acknowledgedBy = Math.min(copies, Number(all.get('min.insync.replicas')));
  const inSync = Math.min(...partitions.map(({ isr }) => isr.length));
  const syncs = all.get('flush.messages') === '1';
  return { copies, acknowledgedBy, inSync, syncs, syncSetting: SYNC_SETTING, settings };
}
