import { Controller, Get, Injectable, Logger, Module, Scope } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { LedgerTestingModule } from '../testing/ledger-testing.module.js';
import { RecordUsage } from './record-usage.decorator.js';

afterEach(() => vi.restoreAllMocks());

describe('RecordUsage without its ledger', () => {
  const other = defineLedger({ name: 'other' });

  @Injectable()
  class Metered {
    @RecordUsage(() => ({ userId: 1 }), { ledger: other })
    answer(): void {}
  }

  @Controller()
  class Bare {
    @Get()
    @RecordUsage(() => ({ userId: 1 }))
    answer(): void {}
  }

  @Injectable({ scope: Scope.REQUEST })
  class PerRequest {
    @RecordUsage(() => ({ userId: 1 }))
    answer(): void {}
  }

  it.each([
    ['another one', { imports: [LedgerTestingModule.forRoot()], providers: [Metered] }, 'Metered'],
    ['none', { controllers: [Bare] }, 'Bare'],
    ['none, and a class of one request', { providers: [PerRequest] }, 'PerRequest'],
    [
      'none, and a class behind a token',
      { providers: [{ provide: 'x', useClass: Metered }] },
      'Metered',
    ],
  ])('fails the boot and names the method where there is %s', async (_, metadata, name) => {
    @Module(metadata)
    class App {}
    const boots = NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
    const error: unknown = await boots.catch((reason: unknown) => reason);
    expect(isLedgerError(error, 'LEDGER_OPTIONS')).toBe(true);
    expect(String(error)).toContain(`@RecordUsage on ${name}.answer`);
  });

  describe('in a unit test that compiles a class with mocks', () => {
    @Injectable()
    class Model {
      complete(): string {
        return 'from the model';
      }
    }

    @Controller()
    class ByMethod {
      constructor(readonly model: Model) {}

      @Get()
      @RecordUsage(() => ({ userId: 1 }), { ledger: other })
      answer(): string {
        return this.model.complete();
      }
    }

    @Controller()
    @RecordUsage(() => ({ userId: 1 }))
    class ByClass {
      constructor(readonly model: Model) {}

      @Get()
      async answer(): Promise<string> {
        return this.model.complete();
      }
    }

    const mocked = { provide: Model, useValue: { complete: () => 'from a mock' } };
    const unit = (type: typeof ByMethod | typeof ByClass, isController: boolean) =>
      Test.createTestingModule({
        controllers: isController ? [type] : [],
        providers: isController ? [mocked] : [mocked, type],
      }).compile();

    it.each([
      ['a controller with a decorated method', ByMethod, true],
      ['a decorated controller', ByClass, true],
      ['a provider with a decorated method', ByMethod, false],
    ])('works without any ledger: %s', async (_what, type, isController) => {
      vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
      const module = await unit(type, isController);
      expect(await module.get(type).answer()).toBe('from a mock');
      await module.close();
    });

    it('does not start, and says what to import in a test', async () => {
      const module = await unit(ByMethod, true);
      const error: unknown = await module.init().catch((reason: unknown) => reason);
      expect(isLedgerError(error, 'LEDGER_OPTIONS')).toBe(true);
      expect(String(error)).toContain('or LedgerTestingModule.forRoot({ ledgers: […] }) in a test');
      await module.close();
    });
  });
});
