import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeAppFiles } from './write-app-files.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledger-app-files-'));
  await mkdir(join(folder, 'src'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const textOf = (path: string): Promise<string> => readFile(join(folder, path), 'utf8');
const change = (path: string) => ({ path, before: undefined, after: `new ${path}` });

describe('writeAppFiles', () => {
  it('leaves all as it was where one can’t be written, and names that', async () => {
    await writeFile(join(folder, 'src/app.module.ts'), 'old');
    await mkdir(join(folder, 'src/main.ts'));
    const changes = ['src/app.module.ts', 'src/ledger.config.ts', 'src/main.ts/x/y'].map(change);
    await writeFile(join(folder, 'src/main.ts/x'), '');
    await expect(writeAppFiles(folder, changes)).rejects.toThrow(
      /^src\/main\.ts\/x\/y can't be written: E[A-Z]+$/,
    );
    expect(await textOf('src/app.module.ts')).toBe('old');
    expect((await readdir(join(folder, 'src'))).sort()).toEqual(['app.module.ts', 'main.ts']);
  });

  it('keeps the mode of a file, and the link to one elsewhere', async () => {
    await writeFile(join(folder, 'elsewhere.ts'), 'old');
    await chmod(join(folder, 'elsewhere.ts'), 0o660);
    await symlink('../elsewhere.ts', join(folder, 'src/main.ts'));
    await writeAppFiles(folder, ['src/main.ts', '.env.example', 'deep/er/new.ts'].map(change));
    expect(await textOf('elsewhere.ts')).toBe('new src/main.ts');
    expect((await stat(join(folder, 'elsewhere.ts'))).mode & 0o777).toBe(0o660);
    expect(await textOf('deep/er/new.ts')).toBe('new deep/er/new.ts');
    expect((await readdir(folder)).sort()).toEqual(['.env.example', 'deep', 'elsewhere.ts', 'src']);
    expect(await readdir(join(folder, 'src'))).toEqual(['main.ts']);
  });
});
