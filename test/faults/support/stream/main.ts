import { ConsoleLogger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { defineLedger, LedgerModule, LedgerService, type LedgerOptions } from 'nestjs-ledger';
import { kafkaStream } from 'nestjs-ledger/kafka';
import { jetStream } from 'nestjs-ledger/nats';

/**
 * A gateway or a writer on a stream that runs until it is killed; a gateway records, and says up to which entry all
 * are durable. Environment: ROLE, ENGINE, SERVERS, DATABASE, JOURNAL_DIR, SPILL_DIR, FIRST (number of a gateway's first entry),
 * RATE (its entries a second), COLUMN (one more column of text than the default ledger's), STORES (of a stream with several),
 * STORE (of a writer), SCHEMA (of its table).
 */
const { ROLE, ENGINE, SERVERS, DATABASE, JOURNAL_DIR, SPILL_DIR, FIRST, RATE, COLUMN } =
  process.env;
const { STORES, STORE, SCHEMA } = process.env;
const SLICE_MS = 5;
/** One entry in so many is waited for; those before it are in the journal then too. */
const WAITED = 50;

const servers = SERVERS!.split(',');
const stream =
  ENGINE === 'kafka'
    ? kafkaStream({ brokers: servers, sessionTimeoutMs: 6000 })
    : jetStream({ servers, maxBytes: 500_000_000, ackWaitMs: 3000, ...storesOf() });
const newer = COLUMN === undefined ? {} : { [COLUMN]: 'text' as const };
const more: object = COLUMN === undefined ? {} : { [COLUMN]: 'new' };
const common: LedgerOptions = {
  stream,
  spillDir: SPILL_DIR!,
  retryMinMs: 50,
  retryMaxMs: 500,
  writeTimeoutMs: 2000,
  numWorkers: 2,
};
const options: LedgerOptions =
  ROLE === 'writer'
    ? { ...common, role: 'writer', connection: { url: DATABASE! }, batchSize: 2000 }
    : {
        ...common,
        role: 'gateway',
        journalDir: JOURNAL_DIR!,
        flushMs: 50,
        bufferSize: 1_000_000,
        batchSize: 500,
      };

@Module({
  imports: [
    LedgerModule.forRoot({
      ...options,
      ledger: defineLedger({ columns: newer, ...(SCHEMA && { schema: SCHEMA }) }),
    }),
  ],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, {
  logger: new ConsoleLogger({ colors: false }),
});
const ledger = app.get(LedgerService);
/** Node makes a pipe non-blocking: `writeSync` would throw while the reader is held up. */
const say = (text: string, then?: () => void): void => void process.stdout.write(`${text}\n`, then);

let next = Number(FIRST);
let acknowledged = next;
let isRecording = ROLE === 'gateway';
// The parent ends the load; the process continues, and publishes its entries.
process.on('SIGUSR2', () => (isRecording = false));
// As Nest's own hooks do it, and then the last figures; entries are recorded until the end.
process.once('SIGTERM', () => {
  void app.close().then(() => {
    isRecording = false;
    say(`stats ${JSON.stringify(ledger.stats())}`, () => process.exit(0));
  });
});

function storesOf(): object {
  if (STORES === undefined) return {};
  const stores = STORES.split(',');
  return { retention: 'interest', stores, ...(STORE && { store: STORE }) };
}

function record(): void {
  const number = next++;
  if (ledger.record({ userId: number, ...more }) !== 'queued') say(`refused ${number}`);
}

function waitFor(): void {
  const number = next++;
  ledger.recordAndWait({ userId: number, ...more }, { timeoutMs: 60_000 }).then(
    () => {
      if (number < acknowledged) return;
      acknowledged = number + 1;
      say(`durable ${acknowledged}`);
    },
    (error: unknown) => say(`failed ${number} ${String(error)}`),
  );
}

say('ready');
setInterval(() => {
  const count = isRecording ? (Number(RATE) * SLICE_MS) / 1000 : 0;
  for (let i = 0; i < count; i++) {
    if (next % WAITED === 0) waitFor();
    else record();
  }
}, SLICE_MS);
setInterval(() => {
  say(`stats ${JSON.stringify(ledger.stats())}`);
}, 100);
