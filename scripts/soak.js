/**
 * Runs drawn faults, and drawn servers for `auto`, for hours: `npm run soak -- journal | power | nats | kafka | auto | faults`.
 * A soak that is stopped or killed goes on where it was when it is started again: its progress is in `.data/soak/<name>.json`.
 * A failure is kept there with its seed. The exit status is 1 if there is one, 130 if it was stopped.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SoakProgress } from './soak-progress.js';

const ROOT = join(import.meta.dirname, '..');
const VITEST = join(
  dirname(createRequire(import.meta.url).resolve('vitest/package.json')),
  'vitest.mjs',
);

/** `size` bounds what is lost when a soak is killed: it begins that draw again. */
const SOAKS = {
  journal: {
    wanted: { turn: 100, entry: 100, power: 100 },
    size: 10,
    unit: 'kills',
    test: ({ mode }) => ['test/faults/journal-kill.e2e-spec.ts', '-t', `journalSync ${mode}`],
    env: ({ size }) => ({ LEDGER_JOURNAL_KILLS: size }),
  },
  power: {
    wanted: { power: 10_000 },
    size: 1000,
    unit: 'losses of power',
    test: () => ['libs/ledger/src/journal/journal-power.spec.ts', '-t', 'whenever the power goes'],
    env: ({ size }) => ({ LEDGER_POWER_CRASHES: size }),
  },
  nats: {
    wanted: { nats: 100 },
    size: 10,
    unit: 'faults of a stream',
    test: () => ['test/faults/stream-nats.e2e-spec.ts'],
    env: ({ size }) => ({ LEDGER_STREAM_DRAWS: size, LEDGER_STREAM_RATE: 15_000 }),
  },
  kafka: {
    wanted: { kafka: 100 },
    size: 10,
    unit: 'faults of a stream',
    test: () => ['test/faults/stream-kafka.e2e-spec.ts'],
    env: ({ size }) => ({ LEDGER_STREAM_DRAWS: size, LEDGER_STREAM_RATE: 15_000 }),
    // Kafka's client may need a newer one than this.
    node: process.env.KAFKA_NODE,
  },
  auto: {
    wanted: { auto: 10_000 },
    size: 500,
    unit: 'servers',
    test: () => ['libs/ledger/src/tuning/tune.spec.ts', '-t', 'within 10 % of the best cell'],
    env: ({ size }) => ({ LEDGER_AUTO_DRAWS: size }),
  },
};
/** Tests that draw more, or take more entries, where LEDGER_SOAK is set. */
const FAULTS = [
  'test/faults',
  'libs/ledger/src/ledger.journal-outage.int-spec.ts',
  'libs/ledger/src/writer/model.spec.ts',
  'libs/ledger/src/channel/intake-fuzz.spec.ts',
];

let child;
let isStopped = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    isStopped = true;
    child?.kill('SIGTERM');
  });
}

const [name, ...rest] = process.argv.slice(2);
if (name === 'faults') process.exitCode = await runFaults(rest);
else if (Object.hasOwn(SOAKS, name)) process.exitCode = await soak(name, SOAKS[name]);
else {
  console.error('Usage: npm run soak -- journal | power | nats | kafka | auto | faults [files]');
  process.exitCode = 2;
}

async function runFaults(files) {
  const args = [join(ROOT, 'scripts/run-tests.js'), ...(files.length > 0 ? files : FAULTS)];
  const env = { ...process.env, LEDGER_SOAK: '1' };
  child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: 'inherit' });
  const [status] = await once(child, 'close');
  return isStopped ? 130 : (status ?? 1);
}

async function soak(name, { wanted, size, unit, test, env, node = process.execPath }) {
  const path = join(ROOT, '.data/soak', `${name}.json`);
  const progress = new SoakProgress(path, wanted);
  for (let draw; (draw = progress.begin(wanted, size)) !== undefined;) {
    const startedAt = Date.now();
    const { status, counts, output } = await run(node, draw, test(draw), env(draw));
    if (isStopped || status === null) {
      console.log(`stopped; the next \`npm run soak -- ${name}\` begins with seed ${draw.seed}`);
      return 130;
    }
    progress.end(status !== 0, counts);
    const { mode, seed } = draw;
    const took = `seed ${seed}, ${Math.round((Date.now() - startedAt) / 1000)} s`;
    console.log(`${line(mode, progress.modes[mode], wanted[mode], unit)} (${took})`);
    if (status !== 0) console.log(`${output}\nFAILED: ${again(test(draw), env(draw), seed)}`);
  }
  console.log(`\n${name}:`);
  for (const mode of Object.keys(wanted)) {
    console.log(line(mode, progress.modes[mode], wanted[mode], unit));
  }
  for (const draw of progress.failures) {
    console.log(`FAILED: ${again(test(draw), env(draw), draw.seed)}`);
  }
  if (progress.failures.length > 0) console.log(`remove ${path} to begin again`);
  return progress.failures.length > 0 ? 1 : 0;
}

/** One draw: its exit status, null if a signal ended it, and what it wrote. */
async function run(node, { seed }, test, env) {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-ledger-soak-'));
  const file = join(folder, 'counts');
  const own = { ...env, LEDGER_FAULTS_SEED: seed, LEDGER_SOAK_COUNTS: file, CI: 'true' };
  child = spawn(node, [VITEST, 'run', ...test], {
    cwd: ROOT,
    env: { ...process.env, ...own },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  }
  const [status] = await once(child, 'close');
  let counts;
  try {
    counts = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // It failed before it had anything to say.
  }
  rmSync(folder, { recursive: true, force: true });
  // A draw that passes without having counted anything has not run.
  return { status: status === 0 && counts === undefined ? 1 : status, counts, output };
}

/** `turn: 30 of 100 kills in 3 draws, entries 1,234,567, lost 0, twice 0` */
function line(mode, { done, draws, ...sums }, wanted, unit) {
  const number = (value) => value.toLocaleString('en');
  const found = Object.entries(sums).map(([name, sum]) => `, ${name} ${number(sum)}`);
  return `${mode}: ${number(done)} of ${number(wanted)} ${unit} in ${draws} draws${found.join('')}`;
}

/** The command that runs a draw again. */
function again(test, env, seed) {
  const settings = Object.entries({ LEDGER_FAULTS_SEED: seed, ...env });
  const words = test.map((word) => (word.includes(' ') ? `'${word}'` : word));
  return `${settings.map((each) => each.join('=')).join(' ')} npx vitest run ${words.join(' ')}`;
}
