import { ConsoleLogger, Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { createLedgerConfig, LedgerModule, LedgerService, defineLedger } from 'nestjs-ledger';
import { Load } from './load.js';
import type { AppCommand, AppReport } from './protocol.js';

const definition = defineLedger({ schema: process.env['FAULTS_SCHEMA'] ?? 'faults' });

let load: Load | undefined;

/** Reports for the last time; Nest calls the hooks of a global module behind those of all others. */
const lastReport = {
  async onApplicationShutdown(): Promise<void> {
    load?.pause();
    await new Promise<void>((resolve) => {
      const report = { is: 'report', stats: ledger.stats(), entries: load!.report() };
      if (process.connected) process.send!(report, () => resolve());
      else resolve();
    });
  },
};

@Global()
@Module({ providers: [{ provide: 'LAST_REPORT', useValue: lastReport }] })
class LastReportModule {}

@Module({
  imports: [
    LastReportModule,
    LedgerModule.forRootAsync(createLedgerConfig(definition).asProvider()),
  ],
})
class AppModule {}

const say = (report: AppReport): void => void process.send?.(report);

const app = await NestFactory.createApplicationContext(AppModule, {
  logger: new ConsoleLogger({ colors: false }),
  abortOnError: false,
});
// Without `useProcessExit` Nest ends the process by the signal, as an operator's tools expect it.
app.enableShutdownHooks(['SIGTERM']);
const ledger = app.get(LedgerService);
const running = (load = new Load(ledger));

process.on('message', (command: AppCommand) => {
  switch (command.do) {
    case 'load':
      return running.start(command);
    case 'pause':
      return running.pause();
    case 'report':
      return say({ is: 'report', stats: ledger.stats(), entries: running.report() });
    case 'close':
      return void close(command.times);
  }
});

async function close(times: number): Promise<void> {
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: times }, () => app.close()));
  say({ is: 'closed', ms: performance.now() - startedAt });
  process.disconnect();
}

say({ is: 'ready', run: ledger.stats().run });
