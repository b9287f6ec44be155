/** The applications of the matrix: packages, compiler, test runner and Node.js of each. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const MANIFEST = join(import.meta.dirname, '../../libs/ledger/package.json');
const LIBRARY = JSON.parse(readFileSync(MANIFEST, 'utf8'));

/** The lowest version that a range takes; the lowest part of one stands first. */
function lowestOf(range) {
  const [version] = /\d+\.\d+(\.\d+)?/.exec(range);
  return version.split('.').length === 3 ? version : `${version}.0`;
}

/** So that a range in package.json promises nothing that was not tried. */
const LOWEST_PEERS = Object.fromEntries(
  Object.entries(LIBRARY.peerDependencies)
    .filter(([name]) => name !== 'typescript')
    .map(([name, range]) => [name, lowestOf(range)]),
);

const COMPILER_OPTIONS = {
  target: 'es2022',
  module: 'nodenext',
  moduleResolution: 'nodenext',
  strict: true,
  esModuleInterop: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  // The library's own types are checked against these versions of its peers.
  skipLibCheck: false,
  types: ['node'],
  outDir: 'dist',
  rootDir: '.',
};

/** For every application. */
export const TSCONFIG = { compilerOptions: COMPILER_OPTIONS, exclude: ['dist', '**/*.spec.ts'] };

const JEST = {
  testEnvironment: 'node',
  testRegex: '[.]spec[.]ts$',
  moduleNameMapper: { '^([.]{1,2}/.*)[.]js$': '$1' },
  transform: { '[.]ts$': ['ts-jest', { diagnostics: false, isolatedModules: true }] },
};

/**
 * Each file of an application beside those in `app`; `ledger` is the tarball's path. `node` is the
 * version of Node.js that does everything, `alsoOn` one that starts the application once more;
 * without them it is the one that runs the matrix.
 */
export const STACKS = [
  {
    name: 'the lowest of each range (CommonJS, Jest, Express)',
    node: lowestOf(LIBRARY.engines.node),
    main: 'main.express.ts',
    test: ['jest', '--ci'],
    files: (ledger) => ({
      'package.json': {
        private: true,
        dependencies: {
          ...LOWEST_PEERS,
          '@nestjs/platform-express': LOWEST_PEERS['@nestjs/core'],
          '@nestjs/typeorm': '11.0.0',
          'nestjs-ledger': `file:${ledger}`,
        },
        devDependencies: {
          '@nestjs/testing': LOWEST_PEERS['@nestjs/core'],
          '@types/node': '20.19.0',
          jest: '29.7.0',
          'ts-jest': '29.1.0',
          // There is no 5.0.0.
          typescript: '5.0.2',
        },
        jest: JEST,
      },
      'tsconfig.json': TSCONFIG,
    }),
  },
  {
    name: 'Nest 11, CommonJS, Jest, TypeORM 0.3, Express',
    main: 'main.express.ts',
    test: ['jest', '--ci'],
    files: (ledger) => ({
      'package.json': {
        private: true,
        dependencies: {
          '@nestjs/common': '^11.0.0',
          '@nestjs/config': '^4.0.0',
          '@nestjs/core': '^11.0.0',
          '@nestjs/platform-express': '^11.0.0',
          '@nestjs/terminus': '^11.0.0',
          '@nestjs/typeorm': '^11.0.0',
          '@opentelemetry/api': '^1.9.0',
          'nestjs-ledger': `file:${ledger}`,
          pg: '^8.11.0',
          'prom-client': '^15.1.0',
          'reflect-metadata': '^0.2.0',
          rxjs: '^7.8.0',
          typeorm: '^0.3.20',
        },
        devDependencies: {
          '@nestjs/testing': '^11.0.0',
          '@types/node': '^20.19.0',
          jest: '^30.0.0',
          'ts-jest': '^29.4.0',
          typescript: '~5.9.0',
        },
        jest: JEST,
      },
      'tsconfig.json': TSCONFIG,
    }),
  },
  {
    name: 'Nest 12, ES modules, Vitest, TypeORM 1, Fastify',
    alsoOn: 'latest',
    main: 'main.fastify.ts',
    test: ['vitest', 'run', '--globals'],
    files: (ledger) => ({
      'package.json': {
        private: true,
        type: 'module',
        dependencies: {
          '@nestjs/common': '^12.0.0',
          '@nestjs/config': '^12.0.0',
          '@nestjs/core': '^12.0.0',
          '@nestjs/platform-fastify': '^12.0.0',
          '@nestjs/terminus': '^12.0.0',
          '@nestjs/typeorm': '^12.0.0',
          '@opentelemetry/api': '^1.9.0',
          'nestjs-ledger': `file:${ledger}`,
          pg: '^8.11.0',
          'prom-client': '^15.1.0',
          'reflect-metadata': '^0.2.0',
          rxjs: '^7.8.0',
          typeorm: '^1.0.0',
        },
        devDependencies: {
          '@nestjs/testing': '^12.0.0',
          '@types/node': '^20.19.0',
          typescript: '6.0.3',
          vitest: '^4.1.0',
        },
      },
      'tsconfig.json': TSCONFIG,
    }),
  },
];
