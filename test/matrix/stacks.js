/** The applications of the matrix: packages, compiler and test runner of each. */

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

/** Each file of an application beside those in `app`; `ledger` is the tarball's path. */
export const STACKS = [
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
          'nestjs-ledger': `file:${ledger}`,
          pg: '^8.11.0',
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
        jest: {
          testEnvironment: 'node',
          testRegex: '[.]spec[.]ts$',
          moduleNameMapper: { '^([.]{1,2}/.*)[.]js$': '$1' },
          transform: { '[.]ts$': ['ts-jest', { diagnostics: false, isolatedModules: true }] },
        },
      },
      'tsconfig.json': { compilerOptions: COMPILER_OPTIONS, exclude: ['dist', '**/*.spec.ts'] },
    }),
  },
  {
    name: 'Nest 12, ES modules, Vitest, TypeORM 1, Fastify',
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
          'nestjs-ledger': `file:${ledger}`,
          pg: '^8.11.0',
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
      'tsconfig.json': { compilerOptions: COMPILER_OPTIONS, exclude: ['dist', '**/*.spec.ts'] },
    }),
  },
];
