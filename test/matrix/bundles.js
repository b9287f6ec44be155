/** An application whose bundle holds the library: built by `nest build --webpack`, and by esbuild. */
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run-command.js';
import { TSCONFIG } from './stacks.js';

const APP = join(import.meta.dirname, 'app');

const DEPENDENCIES = {
  '@nestjs/common': '^11.0.0',
  '@nestjs/config': '^4.0.0',
  '@nestjs/core': '^11.0.0',
  '@nestjs/platform-express': '^11.0.0',
  '@nestjs/terminus': '^11.0.0',
  '@nestjs/typeorm': '^11.0.0',
  pg: '^8.11.0',
  'reflect-metadata': '^0.2.0',
  rxjs: '^7.8.0',
  typeorm: '^0.3.20',
};

const manifestWith = (ledger) => ({
  private: true,
  dependencies: { ...DEPENDENCIES, 'nestjs-ledger': `file:${ledger}` },
  devDependencies: {
    '@nestjs/cli': '^11.0.0',
    '@types/node': '^20.19.0',
    esbuild: '^0.25.0',
    'ts-loader': '^9.5.0',
    typescript: '~5.9.0',
  },
});

/** Nest leaves every package out of a bundle, so the library has to be asked for. */
const WEBPACK_CONFIG = `module.exports = (options) => ({
  ...options,
  entry: './main.ts',
  output: { ...options.output, path: require('node:path').resolve('webpack/dist') },
  resolve: { ...options.resolve, extensionAlias: { '.js': ['.ts', '.js'] } },
  externals: [
    ({ request }, done) =>
      /^([.\\/]|nestjs-ledger)/.test(request) ? done() : done(null, 'commonjs ' + request),
  ],
});
`;

/** Not installed; the library does without them. */
const OPTIONAL = ['@opentelemetry/api', 'prom-client', 'typescript'];

/**
 * Makes the application, and both bundles of it. The installed library is removed afterwards: what a
 * bundle needs of it must be in the bundle.
 *
 * @returns folders with a `dist/main.js`, by what made it
 */
export async function makeBundles(folder, { tarball }) {
  await mkdir(folder);
  await copyFile(join(APP, 'app.module.ts'), join(folder, 'app.module.ts'));
  await copyFile(join(APP, 'main.express.ts'), join(folder, 'main.ts'));
  const files = {
    'package.json': JSON.stringify(manifestWith(tarball)),
    'tsconfig.json': JSON.stringify(TSCONFIG),
    'nest-cli.json': JSON.stringify({ sourceRoot: '.', entryFile: 'main' }),
    'webpack.config.js': WEBPACK_CONFIG,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const where = { cwd: folder };
  const bin = (name) => join('node_modules', '.bin', name);
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], where);
  await run(bin('nest'), ['build', '--webpack'], where);
  // esbuild emits no metadata of decorators, so the compiler goes first.
  await run(bin('tsc'), ['-p', '.'], where);
  const externals = [...Object.keys(DEPENDENCIES), ...OPTIONAL].map((name) => `--external:${name}`);
  const options = ['--bundle', '--platform=node', '--outfile=esbuild/dist/main.js', ...externals];
  await run(bin('esbuild'), ['dist/main.js', ...options], where);
  await rm(join(folder, 'node_modules', 'nestjs-ledger'), { recursive: true });
  return {
    'nest build --webpack': join(folder, 'webpack'),
    esbuild: join(folder, 'esbuild'),
  };
}
