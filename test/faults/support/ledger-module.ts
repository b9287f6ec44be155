import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  defineLedger,
  LedgerModule,
  type LedgerOptions,
  LedgerService,
  type LedgerDefinition,
} from 'nestjs-ledger';
import { expect, vi } from 'vitest';

/** A Nest application with one ledger, in this process. */
export interface LedgerApp {
  readonly app: INestApplicationContext;
  readonly ledger: LedgerService;
}

/** @param isQuiet false to let Nest's logger write, if it is not overridden */
export async function startLedgerModule(
  schema: string,
  options: LedgerOptions,
  isQuiet = true,
  rollup = false,
): Promise<LedgerApp> {
  return startDefinedLedger(defineLedger({ schema, rollup }), options, isQuiet);
}

/** The same for any ledger of the name `default`. */
export async function startDefinedLedger(
  definition: LedgerDefinition,
  options: LedgerOptions,
  isQuiet = true,
): Promise<LedgerApp> {
  @Module({ imports: [LedgerModule.forRoot({ ledger: definition, ...options })] })
  class OneLedgerModule {}
  const silence = isQuiet ? { logger: false as const } : {};
  const app = await NestFactory.createApplicationContext(OneLedgerModule, silence);
  const ledger = app.get<LedgerService>(LedgerService);
  const isRunning = (): void => expect(ledger.stats().state).toBe('running');
  await vi.waitFor(isRunning, { timeout: 10_000, interval: 20 });
  return { app, ledger };
}
