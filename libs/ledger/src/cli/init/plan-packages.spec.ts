import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { lineDiff } from './line-diff.js';
import { nextSteps } from './next-steps.js';
import { planInit, type InitPlan } from './plan-init.js';
import { addPeers, asArguments } from './plan-packages.js';

const MODULE = `import { Module } from '@nestjs/common';\n\n@Module({})\nexport class AppModule {}\n`;

function planWith(files: Readonly<Record<string, string>>): InitPlan {
  const all = new Map(Object.entries({ 'src/app.module.ts': MODULE, ...files }));
  return planInit(ts, { read: (path) => all.get(path), list: () => [] });
}

describe('packages', () => {
  const planOf = (dependencies: Readonly<Record<string, string>>, more = {}): InitPlan =>
    planWith({ 'package.json': JSON.stringify({ dependencies }), ...more });

  it.each([
    [{ '@nestjs/core': '^11.0.1' }, '@nestjs/config@4 @nestjs/terminus@11 typeorm@1 pg@8'],
    [{ '@nestjs/core': '11.1.0', typeorm: '0.3.20' }, '@nestjs/config@4 @nestjs/terminus@11 pg@8'],
    [{ '@nestjs/core': '^12.5.0' }, '@nestjs/config@12 @nestjs/terminus@12 typeorm@1 pg@8'],
    [{ '@nestjs/core': 'next', pg: '8' }, '@nestjs/config@12 @nestjs/terminus@12 typeorm@1'],
  ])('that are missing are named in versions that fit %j', (dependencies, expected) => {
    const { missing } = planOf({ 'nestjs-ledger': '1', ...dependencies });
    expect(asArguments(missing)).toBe(expected);
  });

  it.each([
    ['pnpm-lock.yaml', 'pnpm add', 'pnpm exec nestjs-ledger doctor'],
    ['../../pnpm-lock.yaml', 'pnpm add', 'pnpm exec nestjs-ledger doctor'],
    ['yarn.lock', 'yarn add', 'yarn nestjs-ledger doctor'],
    ['bun.lock', 'bun add', 'bunx nestjs-ledger doctor'],
    ['package-lock.json', 'npm install', 'npx nestjs-ledger doctor'],
    ['nothing.txt', 'npm install', 'npx nestjs-ledger doctor'],
  ])('are installed by whom the lock file belongs to: %s', (file, add, doctor) => {
    const steps = nextSteps(planOf({}, { [file]: '' })).join('\n');
    expect(steps).toContain(
      `1. install the missing packages: ${add} nestjs-ledger@0 @nestjs/config@12`,
    );
    expect(steps).toContain(doctor);
    expect(steps).toContain('@RecordUsage');
    expect(steps).toContain('copy .env.example to .env');
  });

  it('are followed by a step that leaves an .env of the application alone', () => {
    const steps = nextSteps(planOf({}, { '.env': 'SECRET=1' })).join('\n');
    expect(steps).toContain('2. add LEDGER_DATABASE_URL to .env, like in .env.example\n');
    expect(steps).not.toContain('copy');
  });

  it('are followed by a word on the DataSource that the application has', () => {
    const steps = nextSteps(planOf({ '@nestjs/typeorm': '11' })).join('\n');
    expect(steps).toContain('or leave it out to use the DataSource of TypeOrmModule');
    expect(nextSteps(planOf({})).join('\n')).not.toContain('TypeOrmModule');
  });

  it('go by what the manifest says of its manager, before any lock file', () => {
    const manifest = JSON.stringify({ packageManager: 'yarn@4.5.0' });
    const { manager } = planWith({ 'package.json': manifest, 'package-lock.json': '{}' });
    expect(manager).toBe('yarn');
  });

  it('are added to the manifest in order, and nothing else is changed', () => {
    const text = `${JSON.stringify(
      { name: 'a', dependencies: { '@nestjs/core': '^11.0.1', rxjs: '7' }, jest: { a: [1] } },
      null,
      4,
    )}\n`;
    const change = addPeers({ read: (path) => (path === 'package.json' ? text : undefined) });
    const changed = lineDiff(change!).filter((line) => /^[-+](?![-+])/.test(line));
    expect(changed.sort()).toEqual([
      '+        "@nestjs/config": "^4.0.0",',
      '+        "@nestjs/terminus": "^11.0.0",',
      '+        "pg": "^8.11.0",',
      '+        "rxjs": "7",',
      '+        "typeorm": "^1.0.0"',
      '-        "rxjs": "7"',
    ]);
    expect(addPeers({ read: () => change!.after })).toBeUndefined();
    expect(addPeers({ read: () => '{ broken' })).toBeUndefined();
  });
});
