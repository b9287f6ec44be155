/**
 * Runs Vitest with the arguments given and ends with the plain line `N passed, N failed` (and
 * `, N skipped`, with their names before it). A skipped test fails the run where CI is set: what
 * can't run there would never run.
 */
import { spawnSync } from 'node:child_process';
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
/** What needs a Node.js that Kafka's client takes, which may be newer than this one. */
const KAFKA = [
  'libs/ledger/src/kafka/kafka-stream.int-spec.ts',
  'libs/ledger/src/kafka/kafka-replaced-topic.int-spec.ts',
  'libs/ledger/src/cli/verify-stream-kafka.int-spec.ts',
  'test/faults/stream-kafka.e2e-spec.ts',
  'test/faults/stream-upgrade-kafka.e2e-spec.ts',
  'test/faults/stream-changed-kafka.e2e-spec.ts',
  'examples/gateways-and-writers/start-kafka.e2e-spec.ts',
];
// The whole suite needs what is built; the first test to ask for it would have to wait within its
// own time limit. A few files named build it only if they do.
if (chosen.length === 0) {
  const build = join(import.meta.dirname, 'build-if-stale.js');
  spawnSync(process.execPath, [build], { stdio: 'inherit' });
}

const rest = KAFKA.flatMap((file) => ['--exclude', file]);
const runs = [run(chosen.length > 0 ? chosen : rest, process.execPath)];
// Behind the others and one by one: three brokers beside them would make every test wait.
if (chosen.length === 0) {
  process.env.LEDGER_TEST_PROCESSES = '1';
  runs.push(run(KAFKA, process.env.KAFKA_NODE || process.execPath));
}
const status = runs.every((each) => each.status === 0) ? 0 : 1;
const files = runs.flatMap((each) => each.files);
rmSync(folder, { recursive: true, force: true });
const tests = files.flatMap((file) => file.assertionResults);
const count = (name) => tests.filter((test) => test.status === name).length;
const passed = count('passed');
// A file that could not even be loaded holds no tests, and is one failure.
const broken = files.filter((file) => file.status === 'failed' && !file.assertionResults.length);
const skipped = tests.filter((test) => test.status !== 'passed' && test.status !== 'failed');
const skipsFail = Boolean(process.env.CI) && skipped.length > 0;
let failed = count('failed') + broken.length;
if (skipsFail) failed += skipped.length;
// Only the exit code shows an error outside of any test, or the absence of tests.
if (status !== 0 && failed === 0) failed = 1;

for (const test of skipped) console.log(`skipped: ${test.fullName}`);
const suffix = skipped.length > 0 && !skipsFail ? `, ${skipped.length} skipped` : '';
console.log(`${passed} passed, ${failed} failed${suffix}`);
process.exitCode = failed > 0 ? 1 : 0;

/** One run of Vitest: its exit status, and what it found, which is nothing if it could not say. */
function run(files, node) {
  const report = join(folder, 'report.json');
  const names = ['default', 'json', './test/support/slowest-files.reporter.ts'];
  const reporters = names.map((name) => `--reporter=${name}`);
  const args = [vitest, 'run', ...reporters, `--outputFile.json=${report}`, ...files];
  rmSync(report, { force: true });
  const { status } = spawnSync(node, args, { stdio: 'inherit' });
  try {
    return { status, files: JSON.parse(readFileSync(report, 'utf8')).testResults };
  } catch {
    return { status, files: [] };
  }
}
