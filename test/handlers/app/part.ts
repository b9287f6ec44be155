import type { ModuleMetadata } from '@nestjs/common';

/** What the handlers of some kinds add to the application. */
export type Part = Pick<ModuleMetadata, 'imports' | 'controllers' | 'providers'>;

interface PartFile {
  readonly kinds: readonly string[];
  /** Its packages are loaded only for its kinds: most of an application's start is that. */
  load(): Promise<(kinds: readonly string[]) => Part>;
}

const FILES: readonly PartFile[] = [
  { kinds: ['http', 'http-plain'], load: async () => (await import('./routes.js')).routes },
  {
    kinds: ['rpc', 'rpc-plain', 'event', 'event-plain'],
    load: async () => (await import('./messages.js')).messages,
  },
  { kinds: ['ws', 'ws-plain'], load: async () => (await import('./sockets.js')).sockets },
  {
    kinds: ['query', 'mutation', 'subscription', 'subscription-plain'],
    load: async () => (await import('./resolvers.js')).resolvers,
  },
  {
    kinds: ['interval', 'interval-plain', 'cron', 'cron-plain'],
    load: async () => (await import('./times.js')).times,
  },
  { kinds: ['tracked', 'loop'], load: async () => (await import('./loops.js')).loops },
  { kinds: ['bullmq', 'bullmq-plain'], load: async () => (await import('./bullmq.js')).bullmq },
  { kinds: ['bull', 'bull-plain'], load: async () => (await import('./bull.js')).bull },
];

/** The parts that have the handlers of these kinds. */
export async function partsOf(wanted: readonly string[]): Promise<Part[]> {
  const parts: Part[] = [];
  for (const { kinds, load } of FILES) {
    const own = kinds.filter((kind) => wanted.includes(kind));
    if (own.length > 0) parts.push((await load())(own));
  }
  return parts;
}
