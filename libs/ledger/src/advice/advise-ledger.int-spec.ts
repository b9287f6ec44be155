import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { LedgerOptions } from '../config/ledger-options.interface.js';
import { LEDGER_PROFILES } from '../config/ledger-profiles.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import { createLedger } from '../create-ledger.js';
import { defineLedger } from '../define-ledger.js';
import { adviseLedger } from './advise-ledger.js';
import type { Finding } from './finding.interface.js';
import { StatsWindow, summarizeWindow, type WindowFacts } from './stats-window.js';

const SCHEMA = `advice_${process.pid}_${Date.now()}`;
/** Just over the shortest window that gives advice. */
const WATCHED_MS = 5_500;
/** Entries a second that batches of one are too slow for: 0.1 ms for a commit would be needed. */
const RATE = 10_000;
const MOST_STEPS = 4;
const SILENT = { log: () => {}, warn: () => {}, error: () => {} };

let admin: pg.Client;
beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject('databaseUrl') });
  await admin.connect();
  await admin.query(`CREATE SCHEMA ${SCHEMA}`);
});
afterAll(async () => {
  await admin.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
  await admin.end();
});

/** Offers a ledger on a real server so many entries a second, and looks at it each half second. */
async function watch(
  options: LedgerOptions,
  perSecond: number,
): Promise<{ findings: Finding[]; facts: WindowFacts }> {
  const definition = defineLedger({ name: 'advised', schema: SCHEMA });
  const connection = { url: inject('databaseUrl') };
  const resolved = resolveLedgerOptions({ connection, ...options });
  const { ledger } = createLedger(definition, resolved, SILENT);
  void ledger.writer.start(() => undefined);
  while (!ledger.writer.isPrepared) await delay(10);
  const window = new StatsWindow();
  const began = performance.now();
  let offered = 0;
  let looks = 0;
  for (let ms = 0; ms < WATCHED_MS; ms = performance.now() - began) {
    while (offered < (ms * perSecond) / 1000) {
      ledger.intake.offer({ userId: 1, promptTokens: 1 });
      offered++;
    }
    if (ms >= looks * 500) {
      window.add(performance.now(), ledger.stats());
      looks++;
    }
    await delay(2);
  }
  window.add(performance.now(), ledger.stats());
  await ledger.shutdown.finish();
  await ledger.sink.close();
  const findings = adviseLedger(window.samples, { cores: 8, maxConnections: 200 });
  return { findings, facts: summarizeWindow(window.samples)! };
}

describe('advice for a ledger on a real server', () => {
  it('begins with batches of one and ends, each step taken, where nothing is dropped', async () => {
    let options: LedgerOptions = { batchSize: 1, bufferSize: 5_000 };
    const first = await watch(options, RATE);
    expect(first.facts.settledPerSecond).toBeLessThan(RATE * 0.9);
    const steps: string[] = [];
    let { findings } = first;
    while (findings[0]?.rule === 'entries-dropped' && steps.length < MOST_STEPS) {
      const { setting, to } = findings[0].change!;
      steps.push(setting);
      options = { ...options, [setting]: to };
      findings = (await watch(options, RATE)).findings;
    }
    expect(steps[0], 'a batch of one is the worst of it').toBe('batchSize');
    expect(findings.map(({ rule }) => rule)).not.toContain('entries-dropped');
  });

  it('is silent for settings that fit the rate', async () => {
    const { batchSize, flushMs, bufferSize } = LEDGER_PROFILES.high;
    const { findings } = await watch({ batchSize, flushMs, bufferSize, numWorkers: 2 }, 2_000);
    expect(findings).toEqual([]);
  });
});
