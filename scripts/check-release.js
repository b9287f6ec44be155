/**
 * Checks that the tree is what a release says: `node scripts/check-release.js v1.2.3`. Without a
 * tag it checks what must hold at any commit: the versions of the workspace agree, and CHANGELOG.md
 * has a part for what is not released yet, and one for the version.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const [tag] = process.argv.slice(2);
const gateway = JSON.parse(read('package.json'));
const { version } = JSON.parse(read('libs/ledger/package.json'));
const changelog = read('CHANGELOG.md');

/** Text of one part of the changelog, without its heading; undefined if there is none. */
function partOf(name) {
  const parts = changelog.split(/^## /m).slice(1);
  return parts.find((part) => part.startsWith(`[${name}]`))?.replace(/^.*\n/, '');
}

const faults = [
  gateway.version !== version && `the gateway is ${gateway.version}, the package ${version}`,
  gateway.dependencies['nestjs-ledger'] !== `^${version}` && 'the gateway wants another version',
  partOf('Unreleased') === undefined && 'CHANGELOG.md has no part for what is not released',
  !partOf(version)?.trim() && `CHANGELOG.md does not say what ${version} is`,
  tag !== undefined && tag !== `v${version}` && `the tag is ${tag}, the package ${version}`,
  tag !== undefined && partOf('Unreleased')?.trim() && 'something in CHANGELOG.md is unreleased',
].filter(Boolean);

for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
else
  console.log(`${version}${tag === undefined ? '' : ` as ${tag}`}: versions and changelog agree`);
