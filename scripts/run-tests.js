/**
 * Runs Vitest with the arguments given and ends with the plain line `N passed, N failed` (and
 * `, N skipped`, with their names before it). A skipped test fails the run where CI is set: what
 * can't run there would never run.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const vitest = join(
  dirname(createRequire(import.meta.url).resolve('vitest/package.json')),
  'vitest.mjs',
);
const folder = mkdtempSync(join(tmpdir(), 'nestjs-ledger-report-'));
const chosen = process.argv.slice(2);
/**
 * The whole suite in two runs side by side, each on a server of its own: files on one database go
 * one after the other, and those without one need not wait for them.
 */
const runs =
  chosen.length > 0
    ? [chosen]
    : [
        ['--exclude', '**/*-spec.ts'],
        ['--exclude', '**/*.spec.ts'],
      ];
// The whole suite needs what is built; the first test to ask for it would have to wait within its
// own time limit. A few files named build it only if they do.
if (chosen.length === 0) {
  const build = join(import.meta.dirname, 'build-if-stale.js');
  spawnSync(process.execPath, [build], { stdio: 'inherit' });
}

/** One run of Vitest: its exit status, and what it found, which is nothing if it could not say. */
async function run(args, index) {
  const report = join(folder, `report-${index}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const vitestRun = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], {
    stdio: 'inherit',
  });
  const [status] = await once(vitestRun, 'close');
  try {
    return { status, files: JSON.parse(readFileSync(report, 'utf8')).testResults };
  } catch {
    return { status, files: [] };
  }
}

const results = await Promise.all(runs.map(run));
rmSync(folder, { recursive: true, force: true });
const status = results.every((each) => each.status === 0) ? 0 : 1;
const files = results.flatMap((each) => each.files);
const tests = files.flatMap((file) => file.assertionResults);
const count = (name) => tests.filter((test) => test.status === name).length;
const passed = count('passed');
// A file that could not even be loaded holds no tests, and is one failure.
const broken = files.filter((file) => file.status === 'failed' && !file.assertionResults.length);
const skipped = tests.filter((test) => test.status !== 'passed' && test.status !== 'failed');
const skipsFail = Boolean(process.env.CI) && skipped.length > 0;
let failed = count('failed') + broken.length;
if (skipsFail) failed += skipped.length;
// An error outside of any test, or no test at all, is told by the exit code alone.
if (status !== 0 && failed === 0) failed = 1;

for (const test of skipped) console.log(`skipped: ${test.fullName}`);
const suffix = skipped.length > 0 && !skipsFail ? `, ${skipped.length} skipped` : '';
console.log(`${passed} passed, ${failed} failed${suffix}`);
process.exitCode = failed > 0 ? 1 : 0;
