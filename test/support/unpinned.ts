import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Built here or by the reader, so that nobody else can move what its tag means. */
const OWN_IMAGES = new Set(['ledger-gateway:latest', 'ledger-gateway', 'metered-app:latest']);
const BY_COMMIT = /@[0-9a-f]{40}$/;
const BY_DIGEST = /@sha256:[0-9a-f]{64}$/;
/** A variable of Compose without a default: the user names the image at the start. */
const BY_PERSON = /^\$\{\w+:\?/;

/** Options of `docker run` that take a value as the next word. */
const RUN_OPTION_WITH_VALUE =
  /^(-[pevwu]|--(name|env|publish|volume|network|user|workdir|stop-timeout))$/;

/** Text files below these paths, by path from the root. */
export async function readTree(
  root: string,
  paths: readonly string[],
): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const path of paths) {
    const isFolder = (await stat(join(root, path))).isDirectory();
    const names = isFolder ? await readdir(join(root, path), { recursive: true }) : [];
    const files = isFolder ? names.map((name) => `${path}/${name}`) : [path];
    for (const file of files) {
      if (!/(Dockerfile|\.ya?ml|\.md|\.sh)$/.test(file) || file.includes('node_modules')) continue;
      texts[file] = await readFile(join(root, file), 'utf8');
    }
  }
  return texts;
}

/**
 * Actions named by a tag or branch, and images without a digest. Anyone who can move the tag can
 * change what runs.
 *
 * @returns one line for each: place and name
 */
export function unpinned(path: string, text: string): string[] {
  const stages = new Set([...text.matchAll(/^FROM .*\sAS\s+(\S+)/gim)].map(([, name]) => name));
  return text.split('\n').flatMap((line, index) => {
    const named = nameIn(path, line);
    if (named === undefined || OWN_IMAGES.has(named) || isPinned(named)) return [];
    if (named === 'scratch' || stages.has(named)) return [];
    return [`${path}:${index + 1} ${named}`];
  });
}

function isPinned(name: string): boolean {
  return [/^\.\//, BY_COMMIT, BY_DIGEST, BY_PERSON].some((pattern) => pattern.test(name));
}

function nameIn(path: string, line: string): string | undefined {
  if (path.endsWith('Dockerfile')) {
    const [, name] =
      /^FROM\s+(?:--\S+\s+)*(\S+)/i.exec(line) ??
      /^COPY\s+(?:--\S+\s+)*?--from=(\S+)/i.exec(line) ??
      /^#\s*syntax\s*=\s*(\S+)/i.exec(line) ??
      [];
    return name;
  }
  if (/\.ya?ml$/.test(path)) {
    const key = /^\s*(?:-\s+)?["']?(?:uses|image|container)["']?:\s+["']?([^\s"'#]+)/.exec(line);
    return key?.[1];
  }
  return imageOfRun(line);
}

/** The image of a `docker run` or `docker pull` in a page or script. */
function imageOfRun(line: string): string | undefined {
  const [, rest] = /\bdocker\s+(?:run|pull)\s+(.+)/.exec(line) ?? [];
  const words = rest?.split(/\s+/) ?? [];
  const found = words.find(
    (word, index) => !word.startsWith('-') && !RUN_OPTION_WITH_VALUE.test(words[index - 1] ?? ''),
  );
  return found?.replace(/[`'".,;]+$/, '');
}
