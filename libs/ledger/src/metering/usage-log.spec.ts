import { Logger, type LoggerService } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageLog } from './usage-log.js';

describe('UsageLog', () => {
  const lines: string[] = [];

  beforeEach(() => {
    lines.length = 0;
    const keep = (message: unknown, ...rest: unknown[]): void => {
      lines.push(`[${String(rest.at(-1))}] ${String(message)}`);
    };
    const logger: LoggerService = { log: keep, warn: keep, error: keep };
    Logger.overrideLogger(logger);
  });

  afterEach(() => Logger.overrideLogger(false));

  it('reports each kind of fault once a second, with the number of suppressed ones', () => {
    let now = 0;
    const log = new UsageLog('default', { monotonic: () => now });
    log.mapperFailed('Chat.complete', new Error('a'));
    log.notGuaranteed('Chat.complete', new Error('b'));
    now = 999;
    log.mapperFailed('Chat.complete', new Error('c'));
    log.mapperFailed('Chat.other', 'd');
    now = 1000;
    log.mapperFailed('Chat.complete', 'e');
    now = 2000;
    log.mapperFailed('Chat.complete', new TypeError('f'));
    expect(lines).toEqual([
      '[async-ledger] mapper of Chat.complete failed: Error: a',
      '[async-ledger] WARNING: usage of Chat.complete: Error: b',
      '[async-ledger] mapper of Chat.complete failed: a thrown string (2 more since the last line)',
      '[async-ledger] mapper of Chat.complete failed: TypeError: f',
    ]);
  });

  it('is not harmed by a logger that throws', () => {
    const fail = (): never => {
      throw new Error('the transport has ended');
    };
    Logger.overrideLogger({ log: fail, warn: fail, error: fail });
    const log = new UsageLog('default');
    log.mapperFailed('Chat.complete', new Error('a'));
    log.notGuaranteed('Chat.complete', new Error('b'));
    expect(lines).toEqual([]);
  });

  it('carries the name of a named ledger in its context', () => {
    new UsageLog('usage').notGuaranteed('Chat.complete', new Error('a'));
    expect(lines).toEqual(['[async-ledger:usage] WARNING: usage of Chat.complete: Error: a']);
  });
});
