import { ConsoleLogger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread, Worker } from 'node:worker_threads';
import { billing } from './billing.js';

/**
 * An application that records and ends, in a process of its own. Environment: DATABASE, SPILL_DIR,
 * COUNT entries into each of its ledgers, MEMO of them, END. The ledger `billing` is of the CommonJS build.
 */
const { DATABASE, SPILL_DIR, COUNT, MEMO, END } = process.env;
const library: typeof import('nestjs-ledger') = await import('nestjs-ledger');
const other = createRequire(import.meta.url)('nestjs-ledger') as typeof library;
if (library.LedgerModule === other.LedgerModule) throw new Error('not two formats');

const options = {
  connection: { url: DATABASE! },
  spillDir: SPILL_DIR!,
  flushMs: 60_000,
  bufferSize: 1_000_000,
  batchSize: 10_000,
  connectAtBoot: END !== 'nothing' && END !== 'million',
};

@Module({
  imports: [
    library.LedgerModule.forRoot(options),
    other.LedgerModule.forRoot({ ledger: billing, ...options }),
  ],
})
class AppModule {}

const say = (text: string): void => void writeSync(1, `${text}\n`);

const OWN_LISTENERS = 2;
let before = process.cpuUsage();
/** Those of the library: neither the two of this file nor Node's own of a module that is awaited. */
const listeners = (): number =>
  process.listeners('exit').filter(({ name }) => name !== 'handleProcessExit').length -
  OWN_LISTENERS;
process.once('exit', () => (before = process.cpuUsage()));
const app = await NestFactory.createApplicationContext(AppModule, {
  logger: new ConsoleLogger({ colors: false }),
  abortOnError: false,
});

const ledgers = [
  app.get(library.LedgerService),
  app.get<InstanceType<typeof library.LedgerService>>(library.getLedgerToken(billing)),
];

function record(): void {
  for (const ledger of ledgers) {
    for (let i = 0; i < Number(COUNT); i++) {
      const outcome = ledger.record({ userId: i + 1, memo: MEMO!, promptTokens: i });
      if (outcome !== 'queued') throw new Error(outcome);
    }
  }
}

function end(): void {
  switch (END!) {
    case 'exit':
    case 'million':
      process.exit(3);
    // eslint-disable-next-line no-fallthrough -- the process is gone
    case 'throw':
      setImmediate(() => {
        throw new Error('fault of the script');
      });
      return;
    case 'reject':
      void Promise.reject(new Error('fault of the script'));
      return;
    case 'close and exit':
      void app.close();
      // In the midst of the drain.
      setTimeout(() => process.exit(3), 1);
      return;
    case 'late':
      void app.close().then(() => {
        record();
        say(`exit listeners after the end: ${listeners()}`);
      });
  }
}

record();
// The listener of the library stands between this one and the one above: it comes with the first entry.
process.once('exit', () => {
  const { user, system } = process.cpuUsage(before);
  say(`exit took ${Math.round((user + system) / 1000)} ms of processor time`);
});
if (END === 'worker' && isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { env: { ...process.env, END: 'exit' } });
  worker.once('exit', () => process.exit(3));
} else {
  say(`exit listeners: ${listeners()}`);
  end();
}
