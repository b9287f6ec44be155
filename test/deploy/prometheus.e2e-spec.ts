import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { defineLedger, getLedgerToken, LedgerModule, LedgerService } from 'nestjs-ledger';
import { registerLedgerMetrics } from 'nestjs-ledger/prometheus';
import { InMemoryStream } from 'nestjs-ledger/testing';
import { Test, type TestingModule } from '@nestjs/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { parse } from 'yaml';
import { createGateway } from '../../src/create-gateway.js';
import { GatewayDatabase } from '../../src/database/gateway-database.js';
import { readGatewaySettings } from '../../src/gateway-settings.js';
import { MetricsRegistry } from '../../src/metrics/metrics.registry.js';
import { gatewayData } from '../support/gateway-data.js';
import { HAS_PROMETHEUS, PrometheusServer } from '../support/prometheus-server.js';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const RULES = `${DEPLOY}/prometheus/ledger-alerts.yml`;
const RULE_TESTS = `${DEPLOY}/prometheus/ledger-alerts.test.yml`;
const SCHEMA = `prometheus_${process.pid}_${Date.now()}`;
const streamed = defineLedger({ name: 'streamed' });
/** Rates need two scrapes. */
const RATE = '10s';

interface Rule {
  readonly alert: string;
  readonly expr: string;
}
const { groups: ruleGroups } = parse(readFileSync(RULES, 'utf8')) as {
  groups: { rules: Rule[] }[];
};
const alerts = ruleGroups.flatMap(({ rules }) => rules);

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}
const dashboard = JSON.parse(readFileSync(`${DEPLOY}/grafana/ledger-dashboard.json`, 'utf8')) as {
  panels: Panel[];
  templating: { list: { definition?: string }[] };
};
const charts = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);

/** Names of metrics in an expression; the process's own begin with what prom-client gives them. */
function metricsIn(expression: string): string[] {
  return expression.match(/\b(?:ledger|nodejs|process)_\w+/g) ?? [];
}

/** As Grafana would ask: its variables stand for everything, and for the interval of rates. */
function asAsked(expression: string): string {
  const interval = expression.replaceAll(/\$__(?:rate_interval|range)/g, RATE);
  return interval.replaceAll(/\$(?:job|instance|ledger)\b/g, '.*');
}

describe.skipIf(!HAS_PROMETHEUS)('alert rules and dashboard (needs prometheus, promtool)', () => {
  it('are rules and a configuration that promtool takes', () => {
    const options = { cwd: `${DEPLOY}/prometheus`, encoding: 'utf8' } as const;
    const rules = execFileSync('promtool', ['check', 'rules', RULES], options);
    expect(rules).toContain(`SUCCESS: ${alerts.length} rules found`);
    const config = execFileSync('promtool', ['check', 'config', 'prometheus.yml'], options);
    expect(config).toContain('is valid prometheus config file syntax');
  });

  it('fire when they must and only then, as promtool plays it through', () => {
    const output = execFileSync('promtool', ['test', 'rules', RULE_TESTS], { encoding: 'utf8' });
    expect(output).toContain('SUCCESS');
  });

  it('are panels of which no two have one id', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('are each shown firing and silent', () => {
    interface Check {
      readonly alertname: string;
      readonly exp_alerts: readonly unknown[];
    }
    const { tests } = parse(readFileSync(RULE_TESTS, 'utf8')) as {
      tests: { name: string; alert_rule_test: Check[] }[];
    };
    for (const { alert } of alerts) {
      const checks = tests.flatMap(({ alert_rule_test: all }) =>
        all.filter(({ alertname }) => alertname === alert),
      );
      const firing = checks.filter(({ exp_alerts: expected }) => expected.length > 0);
      expect(firing.length, `${alert} is shown firing`).toBeGreaterThan(0);
      expect(checks.length, `${alert} is shown silent`).toBeGreaterThan(firing.length);
    }
  });

  describe('against the running gateway', () => {
    let app: NestFastifyApplication;
    let gateway: TestingModule;
    let admin: pg.Client;
    let prometheus: PrometheusServer;
    let stopLoad = (): void => undefined;

    beforeAll(async () => {
      admin = new pg.Client({ connectionString: inject('databaseUrl') });
      await admin.connect();
      await admin.query(`CREATE SCHEMA ${SCHEMA}`);
      const settings = readGatewaySettings({
        DATABASE_URL: `${inject('databaseUrl')}?options=-csearch_path%3D${SCHEMA}`,
        DATA_DIR: gatewayData(),
      });
      app = await createGateway(settings, await GatewayDatabase.open(settings), false);
      await app.listen(0, '127.0.0.1');
      const ledger = app.get(LedgerService);
      // Beside it a gateway of a stream, which has more metrics.
      const stream = { stream: new InMemoryStream().connect(), role: 'gateway' as const };
      const spillDir = join(settings.dataDir, 'stream-spills');
      const imports = [LedgerModule.forRoot({ ledger: streamed, spillDir, ...stream })];
      gateway = await (await Test.createTestingModule({ imports }).compile()).init();
      const published = gateway.get<LedgerService>(getLedgerToken(streamed), { strict: false });
      registerLedgerMetrics(app.get(MetricsRegistry), published);
      const load = setInterval(() => {
        ledger.record({ userId: 'u', promptTokens: 1 });
        published.record({ userId: '1' });
      }, 5);
      stopLoad = () => clearInterval(load);
      prometheus = await PrometheusServer.start(new URL(await app.getUrl()).host, [RULES]);
    });

    afterAll(async () => {
      stopLoad();
      await prometheus?.stop();
      await gateway?.close();
      await app?.close();
      await admin.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
      await admin.end();
    });

    it('every metric that rules and dashboard name is in a scrape', async () => {
      const text = await (await fetch(`${await app.getUrl()}/metrics`)).text();
      const scraped = new Set(text.match(/^\w+(?=[{ ])/gm));
      const variables = dashboard.templating.list.map(({ definition = '' }) => definition);
      const named = [...alerts.map(({ expr }) => expr), ...charts.map(([, expr]) => expr)];
      const metrics = new Set([...named, ...variables].flatMap(metricsIn));
      expect(metrics.size).toBeGreaterThan(15);
      expect([...metrics].filter((metric) => !scraped.has(metric))).toEqual([]);
    });

    it('every metric of the ledger is in a chart or a rule', async () => {
      const text = await (await fetch(`${await app.getUrl()}/metrics`)).text();
      const scraped = [...text.matchAll(/^# TYPE (ledger_\w+)/gm)].map(([, name]) => name!);
      const expressions = [...alerts.map(({ expr }) => expr), ...charts.map(([, expr]) => expr)];
      const isShown = (name: string): boolean =>
        expressions.flatMap(metricsIn).some((metric) => metric.startsWith(name));
      expect(scraped.length).toBeGreaterThan(20);
      expect(scraped.filter((name) => !isShown(name))).toEqual([]);
    });

    it('every chart has something to show under load', async () => {
      const written = 'rate(ledger_flush_duration_seconds_count[5s]) > 0';
      await prometheus.until('flushes are scraped twice', async () => {
        return (await prometheus.query(written))[0];
      });
      for (const [title, expression] of charts) {
        // A gauge is gone from a scrape that failed to the next.
        await prometheus.until(`${title}: ${expression}`, async () => {
          return (await prometheus.query(asAsked(expression)))[0];
        });
      }
    });

    it('the conservation law adds up in every scrape, and no alert fires', async () => {
      const lost = alerts.find(({ alert }) => alert === 'LedgerConservationBroken')!;
      await prometheus.until('rules were evaluated', async () => {
        const { groups } = await prometheus.get<{
          groups: { rules: { health: string; lastEvaluation: string }[] }[];
        }>('rules');
        const rules = groups.flatMap((group) => group.rules);
        expect(rules).toHaveLength(alerts.length);
        return rules.every(({ health }) => health === 'ok') ? true : undefined;
      });
      const inAnyScrape = `count_over_time((${lost.expr})[30s:1s])`;
      expect(await prometheus.query(inAnyScrape)).toEqual([]);
      const offered = await prometheus.until('entries are offered', async () => {
        return (await prometheus.query('ledger_entries_total{outcome="offered"}'))[0];
      });
      expect(Number(offered.value[1])).toBeGreaterThan(0);
      expect(await prometheus.query('ALERTS{alertstate="firing"}')).toEqual([]);
    });
  });
});
