import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Makes JavaScript of the TypeScript files right inside `folder` (tests left out) without checking
 * types, so that a test can run them in a process of their own.
 *
 * @param folder below the repository's root; its files import only one another and packages
 * @returns URL of the folder with the JavaScript files, inside the repository so that packages are
 * found; the same at each call
 */
export async function transpileFolder(folder: string): Promise<string> {
  const target = join(
    ROOT,
    '.tmp',
    `${relative(ROOT, folder).replaceAll('/', '-')}-${process.pid}`,
  );
  await mkdir(target, { recursive: true });
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.ts') || name.endsWith('spec.ts')) continue;
    const { outputText } = ts.transpileModule(await readFile(join(folder, name), 'utf8'), {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
      },
    });
    await writeFile(join(target, name.replace(/\.ts$/, '.js')), outputText);
  }
  return pathToFileURL(`${target}/`).href;
}
