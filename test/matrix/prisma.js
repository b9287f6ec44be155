/** An application on Prisma, with the block of docs/configure.md as its module. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run-command.js';
import { TSCONFIG } from './stacks.js';

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'configure.md');
const APP = join(import.meta.dirname, 'app', 'prisma');
const LINES_LIMIT = 6;

const IMPORTS = `import { Module } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import { createLedgerConfig, LedgerModule } from 'nestjs-ledger';
import { PrismaClient } from './generated/client.js';
`;

const manifestWith = (ledger) => ({
  private: true,
  type: 'module',
  dependencies: {
    '@nestjs/common': '^12.0.0',
    '@nestjs/config': '^12.0.0',
    '@nestjs/core': '^12.0.0',
    '@nestjs/terminus': '^12.0.0',
    '@prisma/adapter-pg': '^7.0.0',
    '@prisma/client': '^7.0.0',
    'nestjs-ledger': `file:${ledger}`,
    pg: '^8.11.0',
    'reflect-metadata': '^0.2.0',
    rxjs: '^7.8.0',
    typeorm: '^1.0.0',
  },
  devDependencies: { '@types/node': '^20.19.0', prisma: '^7.0.0', typescript: '6.0.3' },
});

/**
 * Installs, compiles and runs an application whose module is the page's example: it writes with
 * Prisma, records an entry, and reads the entry's row with Prisma.
 *
 * @returns the lines of the example
 * @throws Error with what went wrong
 */
export async function tryPrisma(folder, { tarball, url }) {
  const [, block] = /<!-- example: prisma -->\s+```ts\n(.*?)```/s.exec(
    await readFile(PAGE, 'utf8'),
  );
  const lines = block.split('\n').filter((line) => line !== '').length;
  if (lines > LINES_LIMIT) throw new Error(`the page's block has ${lines} lines`);
  await mkdir(join(folder, 'prisma'));
  await copyFile(join(APP, 'schema.prisma'), join(folder, 'prisma', 'schema.prisma'));
  for (const name of ['prisma.config.ts', 'main.ts']) {
    await copyFile(join(APP, name), join(folder, name));
  }
  await writeFile(join(folder, 'app.module.ts'), `${IMPORTS}\n${block}`);
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifestWith(tarball)));
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ ...TSCONFIG, exclude: ['dist', 'prisma.config.ts'] }),
  );
  // `generate` does not use Prisma's migration engine, but downloads it unless this variable names
  // a file. CI machines may not reach Prisma's server.
  const env = { DATABASE_URL: url, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath };
  const bin = join('node_modules', '.bin');
  const where = { cwd: folder, env };
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], where);
  await run(join(bin, 'prisma'), ['generate'], where);
  await run(join(bin, 'tsc'), ['-p', '.'], where);
  const { stdout } = await run('node', ['dist/main.js'], where);
  const expected = '{"customer":"ann","rows":[{"memo":"ann","prompt_tokens":3}]}';
  if (!stdout.includes(expected)) throw new Error(`it printed ${stdout}`);
  return { lines };
}
