/**
 * Writes what each entry point of the package promises into `libs/ledger/etc/*.api.md`, so that a
 * change of the public surface shows in review: `npm run api:report`. With `--check` it writes
 * nothing, and fails if a report is not what the built package says, or is there for nobody.
 */
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const LIBRARY = join(import.meta.dirname, '..', 'libs', 'ledger');
const REPORTS = join(LIBRARY, 'etc');
const SCRATCH = join(import.meta.dirname, '..', '.tmp', 'api');
const isCheck = process.argv.includes('--check');

/** Path of the declarations among conditions of any depth: those of ES modules come first. */
function typesOf(target) {
  if (typeof target === 'string') return target.endsWith('.d.ts') ? target : undefined;
  const { import: esm, types, ...others } = target;
  for (const part of [esm, types, ...Object.values(others)]) {
    const found = part && typesOf(part);
    if (found) return found;
  }
  return undefined;
}

function configOf(name, declarations) {
  const silent = { logLevel: 'none' };
  return ExtractorConfig.prepare({
    configObjectFullPath: join(LIBRARY, 'api-extractor.json'),
    packageJsonFullPath: join(LIBRARY, 'package.json'),
    configObject: {
      projectFolder: LIBRARY,
      mainEntryPointFilePath: join(LIBRARY, declarations),
      newlineKind: 'lf',
      apiReport: {
        enabled: true,
        reportFileName: name,
        reportFolder: REPORTS,
        reportTempFolder: SCRATCH,
        // What only internals refer to is no promise.
        includeForgottenExports: false,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      compiler: { overrideTsconfig: COMPILER },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        // TypeDoc checks docstrings; this reports only the surface.
        extractorMessageReporting: { default: silent },
        tsdocMessageReporting: { default: silent },
      },
    },
  });
}

/** The declarations as an application reads them. */
const COMPILER = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    types: ['node'],
    strict: true,
    skipLibCheck: true,
  },
  include: ['dist/**/*.d.ts'],
};

mkdirSync(REPORTS, { recursive: true });
mkdirSync(SCRATCH, { recursive: true });
const { exports } = JSON.parse(readFileSync(join(LIBRARY, 'package.json'), 'utf8'));
const expected = new Set();
const stale = [];
for (const [entry, target] of Object.entries(exports)) {
  const declarations = typesOf(target);
  if (!declarations) continue;
  const name = `nestjs-ledger${entry.slice(1).replaceAll('/', '.')}.api.md`;
  expected.add(name);
  const { apiReportChanged, succeeded, errorCount } = Extractor.invoke(
    configOf(name, declarations),
    {
      localBuild: !isCheck,
      messageCallback: (message) => {
        // Its own words about a changed report name files of a build folder.
        if (message.logLevel !== ExtractorLogLevel.Error) message.handled = true;
      },
    },
  );
  if (apiReportChanged) stale.push(name);
  else if (!succeeded) throw new Error(`${entry}: ${errorCount} errors`);
}
for (const name of readdirSync(REPORTS).filter((file) => !expected.has(file))) {
  stale.push(name);
  if (!isCheck) rmSync(join(REPORTS, name));
}

if (isCheck && stale.length > 0) {
  console.error(`the public surface changed: ${stale.join(', ')}; see npm run api:report`);
  process.exitCode = 1;
} else {
  console.log(`${expected.size} reports, ${stale.length} written`);
}
