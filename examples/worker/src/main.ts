import { NestFactory } from '@nestjs/core';
import { randomUUID } from 'node:crypto';
import { AppModule } from './app.module.js';
import { JobQueue } from './job-queue.js';

const app = await NestFactory.createApplicationContext(AppModule);
app.enableShutdownHooks();

// A broker would keep the process running; here a job a second does, until SIGTERM.
const queue = app.get(JobQueue);
const timer = setInterval(() => {
  queue.send({ id: randomUUID(), userId: 1, text: 'count these words', sentAt: Date.now() });
}, 1000);
process.once('SIGTERM', () => clearInterval(timer));
