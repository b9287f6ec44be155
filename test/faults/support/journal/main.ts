import { ConsoleLogger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LedgerModule, LedgerService } from 'nestjs-ledger';

/**
 * An application that records until it is killed, and says up to which entry all are durable. Environment:
 * DATABASE, JOURNAL_DIR, SYNC, FIRST (number of its first entry), RATE (entries a second); MAX_BYTES of the
 * journal and MEMO_BYTES of an entry, if others than the default.
 */
const { DATABASE, JOURNAL_DIR, SPILL_DIR, SYNC, FIRST, RATE, MAX_BYTES, MEMO_BYTES } = process.env;
const memo = MEMO_BYTES === undefined ? SYNC! : 'm'.repeat(Number(MEMO_BYTES));
const SLICE_MS = 5;
/** One entry in so many is waited for; those before it are in the journal then too. */
const WAITED = 50;

@Module({
  imports: [
    LedgerModule.forRoot({
      connection: { url: DATABASE! },
      journalDir: JOURNAL_DIR!,
      ...(MAX_BYTES === undefined ? {} : { journalMaxBytes: Number(MAX_BYTES) }),
      journalSync: SYNC as 'turn' | 'entry' | 'power',
      spillDir: SPILL_DIR!,
      flushMs: 100,
      bufferSize: 1_000_000,
      batchSize: 2000,
      retryMinMs: 50,
      retryMaxMs: 500,
      writeTimeoutMs: 2000,
    }),
  ],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, {
  logger: new ConsoleLogger({ colors: false }),
});
const ledger = app.get(LedgerService);
/** Node makes a pipe non-blocking: `writeSync` would throw while the reader is held up. */
const say = (text: string): void => void process.stdout.write(`${text}\n`);

let next = Number(FIRST);
let acknowledged = next;

function record(): void {
  const number = next++;
  if (ledger.record({ userId: number, memo }) !== 'queued') say(`refused ${number}`);
}

function waitFor(): void {
  const number = next++;
  const entry = { userId: number, memo };
  ledger.recordAndWait(entry, { until: 'durable', timeoutMs: 60_000 }).then(
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
  const count = (Number(RATE) * SLICE_MS) / 1000;
  for (let i = 0; i < count; i++) {
    if (next % WAITED === 0) waitFor();
    else record();
  }
}, SLICE_MS);
setInterval(() => {
  say(`stats ${JSON.stringify(ledger.stats())}`);
}, 100);
