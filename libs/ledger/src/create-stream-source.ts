import type { LedgerCore } from './assemble-core.js';
import type { GivenFields } from './journal/fit-row.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';
import { StreamSource } from './stream/stream.source.js';
import { StreamTrouble } from './stream/stream-trouble.js';
import { UnreadWatch } from './stream/unread-watch.js';
import { UnreadableKeeper } from './stream/unreadable-keeper.js';

/**
 * A stream as the source of a writer's batches.
 *
 * @param random 0 up to 1
 * @param given for columns that messages of an older definition don't have; default: NULL
 * @internal
 */
export function createStreamSource(
  core: LedgerCore,
  stream: LedgerStream,
  random: () => number = Math.random,
  given: () => GivenFields = () => new Map(),
): StreamSource {
  const { table, options, clock, logger, counters, keeper, losses } = core;
  const { figures, retryMinMs, retryMaxMs } = options;
  return new StreamSource({
    stream,
    table,
    given,
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
