const LIBRARY = '^libs/ledger/src';
const TESTS = '[.](spec|int-spec|e2e-spec)[.]ts$';

/** Who may import whom: docs/architecture.md has the reasons. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: { pathNot: TESTS },
      // A type may point back, since it is gone when the code runs.
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'pure-folders',
      comment: 'These run without Nest and TypeORM, so their tests start in no time.',
      severity: 'error',
      from: {
        path: `${LIBRARY}/(entry|codec|channel|writer|stats|errors|advice|metrics)/`,
        pathNot: [TESTS, '[.]entity[.]ts$'],
      },
      to: { path: 'node_modules/(@nestjs|typeorm|pg)/' },
    },
    {
      name: 'entities-know-typeorm-only',
      severity: 'error',
      from: { path: `${LIBRARY}/entry/.*[.]entity[.]ts$` },
      to: { path: 'node_modules/@nestjs/' },
    },
    {
      name: 'database-without-nest',
      severity: 'error',
      from: { path: `${LIBRARY}/(sink|reading|migrations)/`, pathNot: TESTS },
      to: { path: 'node_modules/@nestjs/' },
    },
    {
      name: 'library-stands-alone',
      severity: 'error',
      from: { path: '^libs/', pathNot: TESTS },
      to: { path: '^(src|test|bench|scripts)/' },
    },
    {
      name: 'published-library-knows-no-private-one',
      comment: 'It is packed alone: what lies beside it would be missing.',
      severity: 'error',
      from: { path: '^libs/ledger/', pathNot: TESTS },
      to: { path: '^libs/(?!ledger/)' },
    },
    {
      name: 'private-libraries-know-no-ledger',
      comment: 'What speaks a protocol or starts a server is of use without it, and says so.',
      severity: 'error',
      from: { path: '^libs/(?!ledger/)([^/]+)/', pathNot: TESTS },
      to: { path: '^libs/', pathNot: '^libs/$1/' },
    },
    {
      name: 'libraries-through-their-door',
      comment: 'Private libraries are met by their name, not by a path into them.',
      severity: 'error',
      from: { path: '^(src|test|bench|scripts|examples)/' },
      to: { path: '^libs/(openai|embedded-postgres)/src/', pathNot: '^libs/[^/]+/src/index[.]ts$' },
    },
    {
      name: 'no-folder-knows-the-module',
      severity: 'error',
      from: { path: `${LIBRARY}/[^/]+/`, pathNot: [TESTS, `${LIBRARY}/testing/`] },
      to: { path: `${LIBRARY}/(index|ledger[.]module|ledger[.]lifecycle)[.]ts$` },
    },
    {
      name: 'no-barrels-inside',
      severity: 'error',
      from: { path: `${LIBRARY}/`, pathNot: TESTS },
      to: { path: [`${LIBRARY}/index[.]ts$`, `${LIBRARY}/[^/]+/index[.]ts$`] },
    },
    {
      name: 'nothing-unresolved',
      comment: "Prisma's application has its packages where the matrix installs it.",
      severity: 'error',
      from: { pathNot: '^test/matrix/app/prisma/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules|(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
