const LIBRARY = '^libs/ledger/src';
const TESTS = '[.](spec|int-spec|e2e-spec)[.]ts$|/fixtures/';

/**
 * The layers of the library, lowest first. A layer imports from those before it, type imports
 * included, and from nothing behind it; the folders of one layer never import each other.
 * docs/architecture.md has the reasons.
 */
const LAYERS = [
  ['clock'],
  ['errors'],
  ['entry'],
  ['ports'],
  ['stats'],
  ['codec'],
  ['sink-kit'],
  ['channel'],
  ['files'],
  ['segments'],
  ['journal'],
  ['tuning'],
  ['writer'],
  ['stream'],
  ['nats', 'kafka'],
  ['postgres'],
  ['sink', 'migrations', 'reading', 'rollup', 'partitions'],
  ['nest'],
  ['config'],
  ['health'],
  ['metrics'],
  ['advice'],
  ['(define-ledger|assemble-[a-z]+|ledger[.](extensions|service|tokens|interface))[.]ts'],
  ['metering'],
  [
    '(create-[a-z-]+|ledger[.](module|module-definition|application|journal-probe|left-files|lifecycle|no-reader|pool-share|database|stream-claim|vitals)|index)[.]ts',
  ],
  ['dashboard'],
  ['cli'],
  ['testing'],
];

/** A folder's files, or the files of that name. */
const place = (name) => `${LIBRARY}/${name.includes('.') ? `${name}$` : `${name}/`}`;

const layerRules = LAYERS.flatMap((layer, index) =>
  layer.map((name) => {
    const above = [...LAYERS.slice(index + 1).flat(), ...layer.filter((other) => other !== name)];
    return {
      name: `layer-${name.replaceAll(/[^a-z]+/g, '-').replaceAll(/^-|-$/g, '')}`,
      severity: 'error',
      from: { path: place(name), pathNot: TESTS },
      to: { path: above.map(place) },
    };
  }),
).filter(({ to }) => to.path.length > 0);

/** The layers that run without Nest, TypeORM and pg: their tests need no database. */
const PURE = LAYERS.slice(
  0,
  LAYERS.findIndex(([name]) => name === 'postgres'),
).flat();

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'a-layer-for-each-file',
      comment: 'A new folder gets its place in the list of layers first.',
      severity: 'error',
      from: { path: `${LIBRARY}/`, pathNot: [...LAYERS.flat().map(place), TESTS] },
      to: {},
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: { pathNot: TESTS },
      // A type may point back within a folder, since it is gone when the code runs.
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'pure-layers',
      comment: 'These run without Nest, TypeORM and pg, so their tests start in no time.',
      severity: 'error',
      from: { path: [...PURE, 'advice'].map(place), pathNot: TESTS },
      to: { path: 'node_modules/(@nestjs|typeorm|pg)/' },
    },
    {
      name: 'database-without-nest',
      severity: 'error',
      from: {
        path: ['postgres', 'sink', 'migrations', 'reading', 'rollup', 'partitions'].map(place),
        pathNot: TESTS,
      },
      to: { path: 'node_modules/@nestjs/' },
    },
    {
      name: 'library-stands-alone',
      comment: 'Its tests too: what they need stands in a folder `fixtures`.',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^(src|test|bench|scripts|examples)/' },
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

/** For the test that compares them with docs/architecture.md; the cruiser itself refuses unknown keys. */
Object.defineProperty(module.exports, 'layers', { value: LAYERS });
