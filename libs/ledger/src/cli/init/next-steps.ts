import type { InitPlan } from './plan-init.js';
import { asArguments } from './plan-packages.js';

const ADD = { npm: 'npm install', pnpm: 'pnpm add', yarn: 'yarn add', bun: 'bun add' } as const;
const RUN = { npm: 'npx', pnpm: 'pnpm exec', yarn: 'yarn', bun: 'bunx' } as const;

/** What comes after `init`, in the order in which it is done. @internal */
export function nextSteps({
  missing,
  manager,
  sample,
  hasEnvironment,
  hasTypeOrm,
}: Pick<InitPlan, 'missing' | 'manager' | 'sample' | 'hasEnvironment' | 'hasTypeOrm'>): string[] {
  const run = RUN[manager];
  const otherwise = hasTypeOrm
    ? `, or leave it out to use the DataSource of TypeOrmModule, whose tables \`${run} nestjs-ledger migrate --database-url …\` makes`
    : '';
  const steps = [
    ...(missing.length > 0
      ? [`install what is missing: ${ADD[manager]} ${asArguments(missing)}`]
      : []),
    // The application's own .env may not be overwritten.
    (hasEnvironment
      ? `add LEDGER_DATABASE_URL to .env, as ${sample} has it`
      : `copy ${sample} to .env, and set LEDGER_DATABASE_URL there`) + otherwise,
    `check it: ${run} nestjs-ledger doctor`,
    'put @RecordUsage(() => ({ userId: 1, promptTokens: 1 })) on a route, with your user and tokens later',
    'start the application, call the route, and look into the table usage_entries',
    'in tests, LedgerTestingModule of nestjs-ledger/testing stands in for the database',
  ];
  return ['next:', ...steps.map((step, index) => `  ${index + 1}. ${step}`)];
}
