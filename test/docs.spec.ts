import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { LEDGER_PROFILES } from 'nestjs-ledger';
import { SQL_STATES } from '../libs/ledger/src/postgres/sql-states.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, 'utf8');

interface Results {
  readonly figures: readonly {
    readonly group: string;
    readonly setting: string | number;
    readonly contender: string;
    readonly metric: string;
    readonly values: readonly number[];
  }[];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

describe('comments of the libraries', () => {
  it('name no part of the benchmark and no file of it that there is not', () => {
    const sources = readdirSync(`${ROOT}/libs`).flatMap((name) => {
      const folder = `libs/${name}/src`;
      const paths = readdirSync(`${ROOT}/${folder}`, { recursive: true, encoding: 'utf8' });
      return paths.filter((path) => path.endsWith('.ts')).map((path) => read(`${folder}/${path}`));
    });
    // A sentence may go on behind the next line's asterisk.
    const text = sources.join('\n').replaceAll(/\n *(\*|\/\/)? */g, ' ');
    const parts = text.matchAll(/npm run bench -- (\w+)/g);
    const files = text.matchAll(/(?<![\w-])bench\/[\w./-]*\w/g);
    const named = [
      ...Array.from(parts, ([, part]) => `bench/parts/${part}.part.ts`),
      ...Array.from(files, ([path]) => path),
    ];
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((path) => !existsSync(`${ROOT}/${path}`))).toEqual([]);
  });
});

describe('docs/lossless.md', () => {
  it('names tests that exist, and one for each fault but those that it says are not shown', () => {
    const page = read('docs/lossless.md');
    const named = page.match(/[\w/.-]+spec\.ts/g) ?? [];
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((path) => !existsSync(`${ROOT}/${path}`))).toEqual([]);
    const faults = page.split('\n').filter((line) => /^\| (?!Failure|-)/.test(line));
    for (const line of faults) expect(line).toMatch(/spec\.ts|not shown/);
  });
});

describe('docs/architecture.md', () => {
  it('says of each SQLSTATE what the writer does with it', () => {
    const said: string[] = [];
    for (const line of read('docs/architecture.md').split('\n')) {
      const [, verdict, which] =
        /^\| (transient|unknown|row|exists|halt|no COPY) +\| ([^|]+)/.exec(line) ?? [];
      const codes = which
        ?.replace(/\w+ where a row is named/, '')
        .match(/\b[0-9A-Z]{2}\b|\b[0-9A-Z]{5}\b/g);
      for (const code of codes ?? [])
        said.push(`${code} ${verdict!.replace(' ', '-').toLowerCase()}`);
    }
    // Of a class that is listed only those codes are named that mean something else.
    const verdictOf = (code: string): string | undefined => SQL_STATES[code]?.[1];
    const known = Object.keys(SQL_STATES).filter(
      (code) => code.length === 2 || verdictOf(code) !== verdictOf(code.slice(0, 2)),
    );
    expect(said.sort()).toEqual(known.map((code) => `${code} ${verdictOf(code)}`).sort());
  });
});

describe('docs/tuning.md', () => {
  const page = read('docs/tuning.md');
  const rowsOf = (profile: string): string[] =>
    page.split('\n').filter((line) => line.startsWith(`| \`${profile}\``));
  const grouped = (value: number): string => value.toLocaleString('en-US');

  it.each(Object.entries(LEDGER_PROFILES))('has the figures of profile %s', (name, profile) => {
    const { batchSize, flushMs, bufferSize, numWorkers } = profile;
    const cells = rowsOf(name)[0]!
      .split('|')
      .map((cell) => cell.trim());
    expect(cells.slice(3, 7)).toEqual([batchSize, flushMs, bufferSize, numWorkers].map(grouped));
  });

  it('has the rates that the benchmark measured', () => {
    const { figures } = JSON.parse(read('bench/results/profiles.json')) as Results;
    for (const name of Object.keys(LEDGER_PROFILES)) {
      const found = figures.find(
        ({ setting, contender, metric }) =>
          setting === name && contender === 'ledger' && metric === 'rows',
      );
      expect(rowsOf(name)[1]).toContain(`${grouped(median(found!.values))} rows/s`);
    }
    const { figures: rates } = JSON.parse(read('bench/results/throughput.json')) as Results;
    const two = rates.find(
      ({ group, contender, setting }) =>
        group === 'small entries, 2 workers, copy' && contender === 'ledger' && setting === 5000,
    );
    expect(page).toContain(grouped(median(two!.values)));
  });

  it('names each rule of the advice', () => {
    const rules = read('libs/ledger/src/advice/finding.interface.ts').match(
      /(?<=\| ')[a-z-]+(?=')/g,
    );
    const findings = rules!.filter((rule) => rule.includes('-') && rule !== 'event-loop');
    expect(findings).toHaveLength(13);
    for (const rule of findings) expect(page).toContain(`\`${rule}\``);
  });
});
