import type { LedgerCore } from './assemble-core.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';
import { StreamSource } from './stream/stream.source.js';
import { StreamTrouble } from './stream/stream-trouble.js';
import { UnreadWatch } from './stream/unread-watch.js';
import { UnreadableKeeper } from './stream/unreadable-keeper.js';

/** A stream as the source of a writer's batches. @param random 0 up to 1 @internal */
export function createStreamSource(
  core: LedgerCore,
  stream: LedgerStream,
  random: () => number = Math.random,
): StreamSource {
  const { table, options, clock, logger, counters, keeper, losses } = core;
  const { figures, retryMinMs, retryMaxMs } = options;
  return new StreamSource({
    stream,
    table,
    clock,
    counters,
    batchSize: figures.batchSize,
    retry: { minMs: retryMinMs, maxMs: retryMaxMs },
    random,
    unreadable: new UnreadableKeeper({ keeper, counters, losses, clock, laterMs: retryMaxMs }),
    trouble: new StreamTrouble(logger, clock),
    unread: new UnreadWatch(stream, clock, logger),
  });
}
