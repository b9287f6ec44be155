/**
 * Installs the packed library in applications as people have them, each in an empty folder, and
 * looks at what matters: it compiles, its unit test passes, a route is metered and read back, and
 * SIGTERM drains. One of them has the lowest version of each range that package.json promises, on
 * the lowest Node.js; another is started on the newest one too. Two more hold the library in a
 * bundle. Needs a way to the npm registry, and the built gateway for its PostgreSQL. Ends with a
 * table, and `N passed, N failed`. A Node.js that the registry does not give is named there.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '@app/embedded-postgres';
import { makeApplication, tryApplication } from './application.js';
import { makeBundles } from './bundles.js';
import { Cells, printCells } from './cells.js';
import { installNode } from './node-version.js';
import { tryPrisma } from './prisma.js';
import { run } from './run-command.js';
import { STACKS } from './stacks.js';

const ROOT = join(import.meta.dirname, '..', '..');
const LINES_LIMIT = 10;
const DATABASES = { application: "the application's DataSource", own: 'own connection' };

async function pack(folder) {
  const options = ['--silent', '--ignore-scripts', '--pack-destination', folder];
  const { stdout } = await run('npm', ['pack', ...options], { cwd: join(ROOT, 'libs', 'ledger') });
  return join(folder, stdout.trim().split('\n').at(-1));
}

let databases = 0;

/** Creates a separate database on the server. @returns its connection string */
async function makeDatabase() {
  const name = `matrix_${(databases += 1)}`;
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const address = new URL(server.url);
  address.pathname = name;
  return address.href;
}

/** Starts an application on each kind of database. */
async function tryDatabases(cells, app, { name, lines, path }) {
  for (const [database, label] of Object.entries(DATABASES)) {
    await cells.do(`${name}: ${label}`, async () => {
      if (lines === undefined) throw new Error('there is no application');
      if (lines > LINES_LIMIT) throw new Error(`${lines} lines for the ledger`);
      await tryApplication(app, { database, url: await makeDatabase(), path });
      return { lines };
    });
  }
}

/** @returns what became of each cell of a stack */
async function tryStack(stack, tarball) {
  const cells = new Cells();
  const place = await mkdtemp(join(folder, 'stack-'));
  const nodeOf = (version) =>
    cells.do(`Node.js ${version}`, () => installNode(join(place, `node-${version}`), version));
  const here = { path: process.env.PATH, version: process.version };
  const node = stack.node ? await nodeOf(stack.node) : here;
  if (!node) return cells.results;
  const app = join(place, 'app');
  const name = `${stack.name}, Node ${node.version}`;
  const made = await cells.do(`${name}: installed, compiled, unit tests`, async () => ({
    lines: await makeApplication(stack, app, { tarball, path: node.path }),
  }));
  await tryDatabases(cells, app, { name, path: node.path, ...made });
  const other = stack.alsoOn && made && (await nodeOf(stack.alsoOn));
  if (other) {
    const otherName = `${stack.name}, Node ${other.version}`;
    await tryDatabases(cells, app, { name: otherName, path: other.path, ...made });
  }
  return cells.results;
}

/** Applications that hold the library in a bundle migrate by their own runner and by TypeORM's. */
async function tryBundles(tarball) {
  const cells = new Cells();
  const place = await mkdtemp(join(folder, 'bundles-'));
  const made = await cells.do('bundles: installed and built', async () => ({
    folders: await makeBundles(join(place, 'app'), { tarball }),
  }));
  for (const [bundler, app] of Object.entries(made?.folders ?? {})) {
    for (const [database, label] of Object.entries(DATABASES)) {
      await cells.do(`bundled by ${bundler}: ${label}`, async () =>
        tryApplication(app, { database, url: await makeDatabase(), path: process.env.PATH }),
      );
    }
  }
  return cells.results;
}

async function tryDataLayers(tarball) {
  const cells = new Cells();
  await cells.do('Prisma 7: the block of docs/configure.md, own connection', async () =>
    tryPrisma(await mkdtemp(join(folder, 'prisma-')), { tarball, url: await makeDatabase() }),
  );
  return cells.results;
}

const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-matrix-'));
// The server may run under another account, which walks through here.
await chmod(folder, 0o755);
const server = await startEmbeddedPostgres({
  dataDir: join(folder, 'data'),
  settings: { fsync: 'off' },
});
try {
  const tarball = await pack(folder);
  const lanes = [
    ...STACKS.map((stack) => tryStack(stack, tarball)),
    tryDataLayers(tarball),
    tryBundles(tarball),
  ];
  const failed = printCells((await Promise.all(lanes)).flat());
  process.exitCode = failed > 0 ? 1 : 0;
} finally {
  await server.dispose();
  await rm(folder, { recursive: true, force: true });
}
