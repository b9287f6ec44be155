import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLedgerConfig, defineLedger } from 'nestjs-ledger';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { parseKafkaUrl } from '../../libs/ledger/src/kafka/parse-kafka-url.js';
import { parseNatsUrl } from '../../libs/ledger/src/nats/parse-nats-url.js';
import { LEDGER_SETTINGS } from '../../libs/ledger/src/config/ledger-settings.js';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const HAS_SYSTEMD = spawnSync('systemd-analyze', ['--version']).status === 0;
const SHUTDOWN_SECONDS = LEDGER_SETTINGS.shutdownTimeoutMs.default / 1000;
/** Streams of completions take seconds, and Nest waits for them between the two hooks. */
const REQUEST_SECONDS = 15;

/** Bytes of a quantity such as `3Gi`. */
const gibibytes = (quantity: string): number => {
  expect(quantity).toMatch(/^\d+Gi$/);
  return Number.parseInt(quantity, 10) * 2 ** 30;
};

const read = (path: string): string => readFileSync(join(DEPLOY, path), 'utf8');

describe('the systemd unit', () => {
  const unit = read('systemd/ledger-gateway.service');
  const values = new Map(
    [...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, key, value]) => [key, value]),
  );

  it('restarts whatever ends, and waits longer for a stop than the ledger takes', () => {
    expect(values.get('Restart')).toBe('always');
    expect(values.get('KillSignal')).toBe('SIGTERM');
    const stopSeconds = Number(values.get('TimeoutStopSec'));
    expect(stopSeconds).toBeGreaterThan(SHUTDOWN_SECONDS + REQUEST_SECONDS);
  });

  describe.skipIf(!HAS_SYSTEMD)('as systemd-analyze sees it (needs systemd-analyze)', () => {
    let folder: string;
    let path: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'nestjs-ledger-unit-'));
      path = join(folder, 'ledger-gateway.service');
      copyFileSync(join(DEPLOY, 'systemd/ledger-gateway.service'), path);
      // It looks for the program, which is elsewhere on a developer's machine.
      writeFileSync(path, unit.replace('/usr/bin/node', process.execPath));
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it('is a unit without a fault', () => {
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], {
        encoding: 'utf8',
      });
      expect(stderr).toBe('');
      expect(status).toBe(0);
    });

    it('exposes next to nothing', () => {
      const options = ['security', '--offline=true', '--threshold=20', path];
      const report = execFileSync('systemd-analyze', options, { encoding: 'utf8' });
      expect(report).toMatch(/Overall exposure level .*: [01]\.\d OK/);
    });
  });
});

describe('the page', () => {
  it('lists each alert with its severity', () => {
    interface Rule {
      readonly alert: string;
      readonly labels: { readonly severity: string };
    }
    const { groups } = parse(read('prometheus/ledger-alerts.yml')) as {
      groups: { rules: Rule[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    const listed = [...read('README.md').matchAll(/^\| `(Ledger\w+)` +\| (\w+) /gm)];
    expect(listed.map(([, alert, severity]) => [alert, severity])).toEqual(
      rules.map(({ alert, labels }) => [alert, labels.severity]),
    );
  });
});

describe('the Dockerfile', () => {
  const stages = read('Dockerfile')
    .split(/^FROM /m)
    .slice(1);
  const last = stages.at(-1)!.split('\n');
  const instruction = (name: string): string[] =>
    last.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

  it('builds in one stage and runs in another, without root', () => {
    expect(stages).toHaveLength(2);
    expect(instruction('USER')).toEqual(['1000:1000']);
    expect(instruction('COPY').every((copy) => copy.startsWith('--from=build '))).toBe(true);
  });

  it('has node as process 1, which gets the SIGTERM', () => {
    const command = JSON.parse(instruction('CMD').at(-1)!) as string[];
    expect(command).toEqual(['node', '--enable-source-maps', 'dist/main.js']);
    expect(instruction('STOPSIGNAL')).toEqual(['SIGTERM']);
    expect(instruction('ENTRYPOINT')).toEqual([]);
  });

  it('starts what npm start starts', () => {
    const { scripts } = JSON.parse(readFileSync(join(DEPLOY, '../package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const command = JSON.parse(instruction('CMD').at(-1)!) as string[];
    expect(scripts['start']).toBe(`exec ${command.join(' ')}`);
  });
});

describe('the Kubernetes manifest', () => {
  const documents = parseAllDocuments(read('kubernetes/ledger-gateway.yaml'));
  const objects = documents.map((document) => document.toJS());
  const set = objects.find(({ kind }) => kind === 'StatefulSet');
  const pod = set.spec.template.spec;
  const [container] = pod.containers;

  it('is YAML without a fault, with four objects', () => {
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
    const kinds = objects.map(({ kind }) => kind);
    expect(kinds).toEqual(['Service', 'Service', 'PodDisruptionBudget', 'StatefulSet']);
    const labels = set.spec.template.metadata.labels;
    for (const { spec } of objects) {
      expect(labels).toMatchObject(spec.selector.matchLabels ?? spec.selector);
    }
  });

  it('starts for nobody without the keys of its callers', () => {
    const environment = container.env as { name: string; valueFrom?: { secretKeyRef: object } }[];
    const keys = environment.find(({ name }) => name === 'GATEWAY_API_KEYS');
    expect(keys?.valueFrom?.secretKeyRef).toEqual({ name: 'ledger-gateway-keys', key: 'api-keys' });
  });

  it('gives each probe its own address', () => {
    const { startupProbe, readinessProbe, livenessProbe } = container;
    expect(startupProbe.httpGet.path).toBe('/health/startup');
    expect(readinessProbe.httpGet.path).toBe('/health/ready');
    expect(livenessProbe.httpGet.path).toBe('/health/live');
  });

  it('has a grace period that holds preStop, requests and the shutdown of the ledger', () => {
    const preStop = container.lifecycle.preStop.exec.command as string[];
    const environment = container.env as { name: string; value: string }[];
    const named = environment.find(({ name }) => name === 'LEDGER_ASYNC_SHUTDOWN_TIMEOUT_MS');
    const shutdownSeconds = Number(named!.value) / 1000;
    const preStopSeconds = Number(preStop[1]);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(
      preStopSeconds + REQUEST_SECONDS + shutdownSeconds,
    );
  });

  it('keeps the journal on a volume of its own, where the image writes it', () => {
    const [claim] = set.spec.volumeClaimTemplates;
    const mounts = container.volumeMounts as { name: string; mountPath: string }[];
    const mount = mounts.find(({ name }) => name === claim.metadata.name);
    expect(read('Dockerfile')).toContain(`DATA_DIR=${mount!.mountPath}`);
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    const room = gibibytes(claim.spec.resources.requests.storage as string);
    expect(room).toBeGreaterThan(2 * LEDGER_SETTINGS.journalMaxBytes.default);
  });
});

describe('the manifest of an application with its journal in an emptyDir', () => {
  const [deployment, ...others] = parseAllDocuments(read('kubernetes/journal-emptydir.yaml'));
  const pod = deployment!.toJS().spec.template.spec;
  const [container] = pod.containers;
  const environment = new Map(
    (container.env as { name: string; value?: string }[]).map(({ name, value }) => [name, value]),
  );

  it('is YAML without a fault, and one Deployment', () => {
    expect([...deployment!.errors, ...deployment!.warnings, ...others]).toEqual([]);
    expect(deployment!.toJS().kind).toBe('Deployment');
  });

  it('has journal and spills on the volume, by settings that the ledger takes', () => {
    const config = createLedgerConfig();
    const given = Object.fromEntries(
      [...environment].filter(([name]) => name.startsWith('LEDGER_ASYNC_')),
    ) as Record<string, string>;
    const folder = container.volumeMounts[0].mountPath as string;
    expect(container.volumeMounts[0].name).toBe(pod.volumes[0].name);
    vi.stubEnv('LEDGER_CONFIG_FILE', undefined);
    for (const [name, value] of Object.entries(given)) vi.stubEnv(name, value);
    const { journalDir, spillDir } = config();
    expect([journalDir, spillDir]).toEqual([`${folder}/journal`, `${folder}/spill`]);
    vi.unstubAllEnvs();
  });

  it('is not evicted by the journals of two runs, nor kept in memory', () => {
    const most = Number(environment.get('LEDGER_ASYNC_JOURNAL_MAX_BYTES'));
    const { sizeLimit, medium } = pod.volumes[0].emptyDir;
    expect(medium).toBeUndefined();
    expect(2 * most).toBeLessThan(gibibytes(sizeLimit as string));
    const { limits } = container.resources;
    expect(gibibytes(limits['ephemeral-storage'] as string)).toBeGreaterThan(
      gibibytes(sizeLimit as string),
    );
  });

  it('has a grace period that holds requests and the shutdown of the ledger', () => {
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(REQUEST_SECONDS + SHUTDOWN_SECONDS);
  });
});

const NATS_URL = 'nats://user:password@nats:4222';
const KAFKA_URL = 'kafka://user:password@kafka:9092?sasl=SCRAM-SHA-512&tls=true';

describe.each([
  ['Kubernetes, with NATS', () => kubernetesRoles(NATS_URL)],
  ['Kubernetes, with Kafka', () => kubernetesRoles(KAFKA_URL)],
  ['Compose, with NATS', () => composeRoles('compose/stream-roles.yaml')],
  ['Compose, with Kafka', () => composeRoles('compose/stream-roles-kafka.yaml')],
])('the manifest of gateways and writers for %s', (engine, roles) => {
  afterEach(() => vi.unstubAllEnvs());

  it('gives each role settings that a ledger boots with', () => {
    const config = createLedgerConfig(defineLedger({ name: 'default' }), { strict: true });
    for (const [name, environment] of Object.entries(roles())) {
      vi.unstubAllEnvs();
      vi.stubEnv('LEDGER_CONFIG_FILE', undefined);
      vi.stubEnv('DATABASE_URL', undefined);
      for (const [variable, value] of Object.entries(environment)) vi.stubEnv(variable, value);
      const { role, journalDir, connection, spillDir } = config();
      expect(role, name).toBe(name.includes('gateway') ? 'gateway' : 'writer');
      expect(journalDir !== undefined, name).toBe(role === 'gateway');
      expect(connection !== undefined, name).toBe(role === 'writer');
      expect(spillDir).toBe('/var/lib/ledger/spill');
      const url = environment['LEDGER_ASYNC_STREAM_URL']!;
      if (engine.endsWith('NATS')) expect(parseNatsUrl(url)).toHaveProperty('servers');
      else expect(parseKafkaUrl(url)).toHaveProperty('brokers');
    }
    expect(Object.keys(roles()).length).toBeGreaterThanOrEqual(2);
  });
});

it('gives each broker of Kafka an id of its own, and the name by which the roles and the voters find it', () => {
  const path = 'compose/stream-roles-kafka.yaml';
  const brokers = Object.entries(composeServices(path)).filter(
    ([, { environment }]) => environment?.['KAFKA_NODE_ID'] !== undefined,
  );
  const names = brokers.map(([name]) => name);
  const urls = Object.values(composeRoles(path)).map((each) => each['LEDGER_ASYNC_STREAM_URL']!);
  for (const url of urls) {
    expect(parseKafkaUrl(url).brokers).toEqual(names.map((name) => `${name}:9092`));
  }
  const voters = brokers.map(([name, { environment }]) => {
    expect(environment!['KAFKA_ADVERTISED_LISTENERS']).toBe(`PLAINTEXT://${name}:9092`);
    return `${environment!['KAFKA_NODE_ID']}@${name}:9093`;
  });
  expect(new Set(voters).size).toBe(3);
  for (const [, { environment }] of brokers) {
    expect(environment!['KAFKA_CONTROLLER_QUORUM_VOTERS']).toBe(voters.join(','));
  }
});

type Environments = Record<string, Record<string, string>>;

const DATABASE_URL = 'postgres://user:password@db/app';

function kubernetesRoles(streamUrl: string): Environments {
  const secrets: Record<string, string> = {
    'metered-app-stream': streamUrl,
    'metered-app-database': DATABASE_URL,
  };
  const documents = parseAllDocuments(read('kubernetes/stream-roles.yaml'));
  expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
  const workloads = documents.map((each) => each.toJS()).filter(({ kind }) => kind !== 'Service');
  return Object.fromEntries(
    workloads.map(({ metadata, spec }) => {
      const { env } = spec.template.spec.containers[0] as { env: KubernetesVariable[] };
      return [
        metadata.name as string,
        Object.fromEntries(
          env.map(({ name, value, valueFrom }) => [
            name,
            value ?? secrets[valueFrom!.secretKeyRef.name]!,
          ]),
        ),
      ];
    }),
  );
}

interface KubernetesVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string } };
}

type Services = Record<string, { environment?: Record<string, string> }>;

function composeServices(path: string): Services {
  return (parse(read(path), { merge: true }) as { services: Services }).services;
}

function composeRoles(path: string): Environments {
  const apps = Object.entries(composeServices(path)).filter(
    ([, { environment }]) => environment?.['LEDGER_ASYNC_ROLE'] !== undefined,
  );
  return Object.fromEntries(
    apps.map(([name, { environment }]) => [
      name,
      Object.fromEntries(
        Object.entries(environment!).map(([variable, value]) => [
          variable,
          value.startsWith('${') ? DATABASE_URL : value,
        ]),
      ),
    ]),
  );
}
