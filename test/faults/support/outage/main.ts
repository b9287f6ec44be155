import { ConsoleLogger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { createLedgerConfig, defineLedger, LedgerModule, LedgerService } from 'nestjs-ledger';
import { setImmediate as turn } from 'node:timers/promises';
import type { OutageCommand, OutageReport } from './protocol.js';

/** An application that records a requested number of entries, as fast as it can. */
const SLICE = 500;

@Module({
  imports: [LedgerModule.forRootAsync(createLedgerConfig(defineLedger()).asProvider())],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, {
  logger: new ConsoleLogger({ colors: false }),
});
const ledger = app.get(LedgerService);
const memoryBefore = process.memoryUsage.rss();
let moreMemory = 0;

const say = (report: OutageReport): void => void process.send?.(report);
const report = (is: 'recorded' | 'report'): void => {
  moreMemory = Math.max(moreMemory, process.memoryUsage.rss() - memoryBefore);
  say({ is, stats: ledger.stats(), moreMemory });
};

async function record(first: number, count: number): Promise<void> {
  for (let done = 0; done < count; done += SLICE) {
    const slice = Math.min(SLICE, count - done);
    for (let i = 0; i < slice; i++) ledger.record({ userId: first + done + i });
    await turn();
    moreMemory = Math.max(moreMemory, process.memoryUsage.rss() - memoryBefore);
  }
  report('recorded');
}

/** Waits as an explicit `durable` does. */
async function wait(first: number): Promise<void> {
  const waited = ledger.recordAndWait({ userId: first }, { until: 'durable' });
  const outcome = await waited.then(
    (result) => result.outcome,
    (error: unknown) => (error instanceof Error ? error.name : typeof error),
  );
  say({ is: 'waited', outcome });
}

process.on('message', (command: OutageCommand) => {
  switch (command.do) {
    case 'record':
      return void record(command.first, command.count);
    case 'wait':
      return void wait(command.first);
    case 'report':
      return report('report');
    case 'close':
      return void app.close().then(() => {
        say({ is: 'closed' });
        process.disconnect();
      });
  }
});
say({ is: 'ready' });
