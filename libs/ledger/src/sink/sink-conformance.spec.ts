import { describe, it } from 'vitest';
import { InMemorySink } from '../testing/in-memory.sink.js';
import { describeSinkConformance, type SinkSubject } from '../testing/sink-conformance.js';
import { formatUuid } from '../codec/uuid.js';

/** Field count and uuid as in a real row; the content stands behind them as it is. */
const HEAD_BYTES = 22;

async function inMemorySubject(): Promise<SinkSubject> {
  const sink = new InMemorySink();
  const refused = new Set<string>();
  return {
    sink,
    row(uuid, content) {
      if (refused.has(content)) sink.refuse(uuid);
      const head = Buffer.from([0, 11, 0, 0, 0, 16]);
      const id = Buffer.from(uuid.replaceAll('-', ''), 'hex');
      return Buffer.concat([head, id, Buffer.from(content)]);
    },
    async stored() {
      const rows = [...sink.rows.values()];
      return new Map(rows.map((row) => [formatUuid(row, 6), row.subarray(HEAD_BYTES).toString()]));
    },
    async refuse(content) {
      refused.add(content);
    },
    async block() {
      sink.failNext({ kind: 'transient' });
      return async () => {};
    },
    async dispose() {
      await sink.close();
    },
  };
}

describeSinkConformance('the in-memory sink', inMemorySubject, { describe, it });
