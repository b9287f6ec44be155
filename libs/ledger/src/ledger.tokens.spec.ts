import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { defaultLedger, defineLedger } from './define-ledger.js';
import { LedgerHealthIndicator } from './health/ledger-health.indicator.js';
import { LedgerService } from './ledger.service.js';
import { getLedgerHealthToken, getLedgerToken, InjectLedger } from './ledger.tokens.js';

const usage = defineLedger({ name: 'usage' });
const audit = defineLedger({ name: 'audit' });

describe('tokens of a ledger', () => {
  it('are the classes themselves for the default ledger, named or not', () => {
    for (const definition of [undefined, defaultLedger, defineLedger()]) {
      expect(getLedgerToken(definition)).toBe(LedgerService);
      expect(getLedgerHealthToken(definition)).toBe(LedgerHealthIndicator);
    }
  });

  it('are symbols in the global registry for named ledgers, so that copies agree on them', () => {
    expect(getLedgerToken(usage)).toBe(Symbol.for('ledger:usage'));
    expect(getLedgerToken(defineLedger({ name: 'usage' }))).toBe(getLedgerToken(usage));
    expect(getLedgerHealthToken(usage)).toBe(Symbol.for('ledger-health:usage'));
  });

  it('differ from ledger to ledger and from service to health', () => {
    const tokens = [usage, audit].flatMap((l) => [getLedgerToken(l), getLedgerHealthToken(l)]);
    expect(new Set(tokens).size).toBe(4);
  });

  it('inject each ledger by its definition', async () => {
    @Injectable()
    class Meter {
      @InjectLedger(audit)
      readonly audit!: string;

      constructor(
        @InjectLedger(usage) readonly usage: string,
        @InjectLedger() readonly standard: string,
      ) {}
    }
    const module = await Test.createTestingModule({
      providers: [
        Meter,
        { provide: getLedgerToken(usage), useValue: 'the usage ledger' },
        { provide: getLedgerToken(audit), useValue: 'the audit ledger' },
        { provide: LedgerService, useValue: 'the default ledger' },
      ],
    }).compile();
    expect({ ...module.get(Meter) }).toEqual({
      usage: 'the usage ledger',
      standard: 'the default ledger',
      audit: 'the audit ledger',
    });
    await module.close();
  });
});
