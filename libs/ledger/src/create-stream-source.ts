import type { LedgerCore } from './assemble-core.js';
import type { GivenFields } from './journal/fit-row.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';
import type { StreamFigures } from './stream/stream-figures.js';
import { StreamSource } from './stream/stream.source.js';
import { StreamTrouble } from './stream/stream-trouble.js';
import { UnreadableKeeper } from './stream/unreadable-keeper.js';

/** Options of a stream source. */
export interface StreamSourceChoices {
  /** 0 up to 1. */
  readonly random?: () => number;
  /** Values for columns that messages of an older definition do not have; default: NULL. */
  readonly given?: () => GivenFields;
}

/** A stream as the source of a writer's batches. @internal */
export function createStreamSource(
  core: LedgerCore,
  stream: LedgerStream,
  streamFigures: StreamFigures,
  { random = Math.random, given = () => new Map() }: StreamSourceChoices = {},
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
    figures: streamFigures,
  });
}
