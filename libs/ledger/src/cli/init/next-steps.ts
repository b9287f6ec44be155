import type { InitPlan } from './plan-init.js';
import { asArguments } from './plan-packages.js';

const ADD = { npm: 'npm install', pnpm: 'pnpm add', yarn: 'yarn add', bun: 'bun add' } as const;
const RUN = { npm: 'npx', pnpm: 'pnpm exec', yarn: 'yarn', bun: 'bunx' } as const;

/** The steps after `init`, in order. @internal */
export function nextSteps({
  missing,
  manager,
  sample,
  hasEnvironment,
  hasTypeOrm,
}: Pick<InitPlan, 'missing' | 'manager' | 'sample' | 'hasEnvironment' | 'hasTypeOrm'>): string[] {
  const run = RUN[manager];
  const otherwise = hasTypeOrm
    ? `, or leave it out to use the DataSource of TypeOrmModule, and create the tables with \`${run} nestjs-ledger migrate --database-url …\``
    : '';
  const steps = [
    ...(missing.length > 0
      ? [`install the missing packages: ${ADD[manager]} ${asArguments(missing)}`]
      : []),
    // The application's own .env may not be overwritten.
    (hasEnvironment
      ? `add LEDGER_DATABASE_URL to .env, like in ${sample}`
      : `copy ${sample} to .env, and set LEDGER_DATABASE_URL there`) + otherwise,
    'add @RecordUsage(() => ({ userId: 1, promptTokens: 1 })) to a route; later use your user and tokens',
    'start the application, which creates the table, call the route, and look into usage_entries',
    `check it: ${run} nestjs-ledger doctor`,
    'add ledger-spill/ to .gitignore: it keeps entries that could not be written',
    'in tests, use LedgerTestingModule of nestjs-ledger/testing, which needs no database',
  ];
  return ['next:', ...steps.map((step, index) => `  ${index + 1}. ${step}`)];
}
