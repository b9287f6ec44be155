import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Figures, load } from './setup/figures.js';
import { BenchDatabase } from './setup/bench-database.js';
import type { Bench, Part } from './parts/part.js';
import { throughput } from './parts/throughput.part.js';
import { record } from './parts/record.part.js';
import { loop } from './parts/loop.part.js';
import { http } from './parts/http.part.js';
import { route } from './parts/route.part.js';
import { profiles } from './parts/profiles.part.js';
import { growth } from './parts/growth.part.js';
import { partitions } from './parts/partitions.part.js';
import { distance } from './parts/distance.part.js';
import { processes } from './parts/processes.part.js';
import { indexes } from './parts/indexes.part.js';
import { read } from './parts/read.part.js';
import { beside } from './parts/beside.part.js';
import { wait } from './parts/wait.part.js';
import { auto } from './parts/auto.part.js';
import { autoRates } from './parts/auto-rates.part.js';
import { journal } from './parts/journal.part.js';
import { stream } from './parts/stream.part.js';
import { streamKafka } from './parts/stream-kafka.part.js';
import { printPart } from './report/print-part.js';
import { saveResult, writeReport } from './report/write-report.js';

const PARTS: readonly Part[] = [
  throughput,
  record,
  loop,
  http,
  route,
  profiles,
  growth,
  partitions,
  distance,
  processes,
  wait,
  beside,
  indexes,
  read,
  journal,
  stream,
  streamKafka,
  auto,
  autoRates,
];

const FULL_ROUNDS = 5;
const QUICK_ROUNDS = 1;

/**
 * `npm run bench -- [--quick] [--rounds n] [--rows n] [part …]`: the named parts, or all. `--rows`
 * sets the size of the large tables of `read` and `partitions`; such a run does not replace results
 * either.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      rows: { type: 'string' },
    },
  });
  const unknown = positionals.filter((name) => PARTS.every((part) => part.name !== name));
  if (unknown.length > 0) {
    const known = PARTS.map(({ name }) => name).join(', ');
    throw new Error(`no part is called ${unknown.join(', ')}; there are ${known}`);
  }
  const isQuick = values.quick;
  const rounds = Number(values.rounds ?? (isQuick ? QUICK_ROUNDS : FULL_ROUNDS));
  const tableRows = values.rows === undefined ? undefined : Number(values.rows);
  await linkLibrary();
  const database = await BenchDatabase.open();
  try {
    for (const part of PARTS) {
      const isWanted = isQuick && part.isQuickOnlyByName ? false : positionals.length === 0;
      if (!isWanted && !positionals.includes(part.name)) continue;
      const missing = part.missing?.();
      if (missing !== undefined) {
        console.log(`\n## ${part.title}: left out, there is no ${missing}`);
        continue;
      }
      // Small tables need no separate server, whose start takes longer than the part.
      const settings = isQuick ? undefined : part.server;
      const own = settings && (await BenchDatabase.open(settings));
      try {
        await runPart(part, own ?? database, { isQuick, rounds, tableRows });
      } finally {
        await own?.close();
      }
    }
  } finally {
    await database.close();
  }
  await writeReport(isTrial({ isQuick, tableRows }));
}

/** Measures, prints and saves; figures of a trial run replace none. */
async function runPart(
  part: Part,
  database: BenchDatabase,
  sizes: Pick<Bench, 'isQuick' | 'rounds' | 'tableRows'>,
): Promise<void> {
  const figures = new Figures();
  const before = load();
  const startedAt = performance.now();
  await part.run({ database, figures, ...sizes });
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  const { name, title } = part;
  const result = {
    part: name,
    title,
    seconds,
    load: [before, load()] as const,
    figures: figures.all(),
    notes: figures.notes,
  };
  printPart(result);
  const isQuick = isTrial(sizes);
  await saveResult(result, {
    isQuick,
    rounds: sizes.rounds,
    postgres: await database.version(),
  });
}

function isTrial({ isQuick, tableRows }: Pick<Bench, 'isQuick' | 'tableRows'>): boolean {
  return isQuick || tableRows !== undefined;
}

/** Locations of entry points whose folder has a different name. */
const PATHS: Readonly<Record<string, string>> = {
  index: 'index.js',
  prometheus: 'metrics/prometheus/index.js',
  opentelemetry: 'metrics/opentelemetry/index.js',
};

/**
 * The compiled gateway imports the library by its name; it must find the library compiled with it,
 * and not an older build.
 */
async function linkLibrary(): Promise<void> {
  const root = join(import.meta.dirname, '..');
  const link = join(root, 'node_modules', 'nestjs-ledger');
  await mkdir(link, { recursive: true });
  const source = "export * from '../../libs/ledger/src";
  const entries = ['index', 'prometheus', 'opentelemetry', 'dashboard'];
  for (const entry of entries) {
    const path = PATHS[entry] ?? `${entry}/index.js`;
    await writeFile(join(link, `${entry}.js`), `${source}/${path}';\n`);
  }
  const exports: Record<string, string> = {};
  for (const entry of entries) exports[entry === 'index' ? '.' : `./${entry}`] = `./${entry}.js`;
  const manifest = { name: 'nestjs-ledger', type: 'module', exports };
  await writeFile(join(link, 'package.json'), JSON.stringify(manifest));
}

await main();
