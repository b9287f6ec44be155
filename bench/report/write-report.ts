import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { PartResult } from '../setup/figures.js';
import { readBars } from './bars.js';
import { drawBars, drawMetric } from './charts.js';
import { tablesOf } from './print-part.js';

/** `.tmp/bench/bench/report` -> the repository. */
const ROOT = join(import.meta.dirname, '..', '..', '..', '..');
const BENCH = join(ROOT, 'bench');

/** Circumstances of a run, stored with its results. */
export interface RunFacts {
  readonly isQuick: boolean;
  readonly rounds: number;
  readonly postgres: string;
}

interface SavedResult extends PartResult, RunFacts {
  readonly measuredAt: string;
  readonly node: string;
  readonly machine: string;
}

/** Quick runs are not measurements, and never replace one. */
const resultsDir = (isQuick: boolean): string =>
  isQuick ? join(ROOT, '.tmp', 'bench-results') : join(BENCH, 'results');

/** Keeps the results of a part as `<part>.json`. */
export async function saveResult(result: PartResult, facts: RunFacts): Promise<void> {
  const dir = resultsDir(facts.isQuick);
  await mkdir(dir, { recursive: true });
  const gib = Math.round(totalmem() / 2 ** 30);
  const saved: SavedResult = {
    ...result,
    figures: result.figures.map((each) => ({ ...each, values: each.values.map(rounded) })),
    ...facts,
    measuredAt: new Date().toISOString(),
    node: process.version,
    machine: `${cpus().length} x ${cpus()[0]?.model}, ${gib} GiB, ${platform()} ${release()} ${arch()}`,
  };
  await writeFile(join(dir, `${result.part}.json`), `${JSON.stringify(saved, null, 2)}\n`);
}

const rounded = (value: number): number => Number(value.toPrecision(5));

async function readResults(isQuick: boolean): Promise<SavedResult[]> {
  const dir = resultsDir(isQuick);
  const names = (await readdir(dir)).filter((name) => name.endsWith('.json')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8')));
  return texts.map((text) => JSON.parse(text) as SavedResult);
}

/** Writes the report of all existing results; a full run also the picture for the README. */
export async function writeReport(isQuick: boolean): Promise<void> {
  const results = await readResults(isQuick);
  const bars = readBars(
    results.flatMap(({ part, figures }) => figures.map((f) => ({ part, ...f }))),
  );
  console.log('\n## What must be true');
  for (const { name, bound, reached, isMet } of bars) {
    console.log(`${isMet ? 'met    ' : 'NOT MET'}  ${name}: ${reached} (${bound})`);
  }
  const path = isQuick ? join(resultsDir(true), 'report.html') : join(BENCH, 'report.html');
  await writeFile(path, page(results, bars));
  console.log(`\nreport: ${path}`);
  const all = results
    .find(({ part }) => part === 'throughput')
    ?.figures.filter(({ group, metric }) => group.startsWith('small') && metric === 'rows')
    .filter(({ group }) => group.endsWith('all contenders'));
  if (isQuick || all === undefined || all.length === 0) return;
  await mkdir(join(ROOT, 'docs', 'images'), { recursive: true });
  const title = 'Rows a second into one table with all its indexes, PostgreSQL 18 on 2 cores';
  await writeFile(join(ROOT, 'docs', 'images', 'throughput.svg'), `${drawBars(title, all)}\n`);
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${cells('th', head)}${rows.map((row) => cells('td', row)).join('')}</table>`;
}

function page(results: readonly SavedResult[], bars: ReturnType<typeof readBars>): string {
  const rows = bars.map(({ name, bound, reached, isMet }) => [
    name,
    bound,
    reached,
    isMet ? 'met' : 'not met',
  ]);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>nestjs-ledger: benchmark</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd }
svg { max-width: 100%; height: auto } summary { cursor: pointer; margin: .5rem 0 }
</style>
<h1>nestjs-ledger: benchmark</h1>
<p>Medians of the rounds, lowest and highest in brackets. <code>npm run bench</code> repeats it.</p>
<h2>What must be true</h2>
${table(['', 'bar', 'reached', ''], rows)}
${results.map(section).join('\n')}
</html>
`;
}

function section(result: SavedResult): string {
  const { title, figures, notes, load, seconds, measuredAt, machine, node, postgres } = result;
  const tables = tablesOf(figures);
  const facts =
    `${result.rounds} rounds in ${seconds} s on ${measuredAt}; ${machine}; Node ${node}; ` +
    `${postgres}; load average ${load.join(' before, ')} after`;
  const plots = tables.map(({ group, head, rows }) => {
    const own = figures.filter((figure) => figure.group === group);
    const metrics = [...new Set(own.map(({ metric }) => metric))];
    // The first two metrics are the subject of a group; the tables contain all.
    const drawn = metrics.slice(0, 2).map((metric) => {
      const wanted = own.filter((figure) => figure.metric === metric);
      return drawMetric(`${group}: ${metric}`, wanted);
    });
    return `${drawn.join('\n')}<details><summary>${escape(group)}: table</summary>${table(head, rows)}</details>`;
  });
  return `<h2>${escape(title)}</h2><p>${escape(facts)}</p>
${notes.map((note) => `<p>${escape(note)}</p>`).join('')}
${plots.join('\n')}`;
}
