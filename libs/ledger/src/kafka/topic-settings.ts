import type { Admin } from '@platformatic/kafka';

/** Kind of the resource in requests about settings. Source: Kafka's `ConfigResource.Type`. */
const TOPIC = 2;

/**
 * Effective settings of a topic by name, including its brokers' defaults.
 *
 * @throws the client's errors
 * @internal
 */
export async function readTopicSettings(
  admin: Admin,
  topic: string,
): Promise<ReadonlyMap<string, string>> {
  const resources = [
    { resourceType: TOPIC, resourceName: topic, configurationKeys: null },
  ] as const;
  const [found] = await admin.describeConfigs({ resources: [...resources] });
  return new Map(found?.configs.map(({ name, value }) => [name, value ?? '']));
}
