import { NestFactory } from '@nestjs/core';
import { LedgerService } from 'nestjs-ledger';
import { AppModule, prisma } from './app.module.js';

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
// What Prisma's migrations do.
await prisma.$executeRaw`CREATE TABLE customers (id bigserial PRIMARY KEY, name text UNIQUE)`;
const { id, name } = await prisma.customer.create({ data: { name: 'ann' } });
await app.get(LedgerService).recordAndWait({ userId: id, promptTokens: 3, memo: name });
const rows = await prisma.$queryRaw`
  SELECT memo, prompt_tokens FROM usage_entries JOIN customers ON customers.id = user_id`;
console.log(JSON.stringify({ customer: name, rows }));
await app.close();
await prisma.$disconnect();
