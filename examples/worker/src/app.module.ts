import { Module } from '@nestjs/common';
import { ledgerConfig, LedgerModule } from 'nestjs-ledger';
import { JobQueue } from './job-queue.js';
import { JobConsumer } from './job.consumer.js';

@Module({
  imports: [LedgerModule.forRootAsync(ledgerConfig.asProvider())],
  providers: [JobQueue, JobConsumer],
})
export class AppModule {}
