import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** Built. In a process of its own, since other tests of this one have loaded the tables. */
const thread = createRequire(import.meta.url).resolve('@app/openai/large-body-thread');
const BUILT = pathToFileURL(dirname(thread)).href;

/** Prints whether the tokenizer of a model is there before the event loop goes on. */
const PROGRAM = `
  import 'reflect-metadata';
  import { setImmediate as turn } from 'node:timers/promises';
  import { LateCounts } from '${BUILT}/late-counts.js';
  import { Tokenizer } from '${BUILT}/tokenizer.js';
  await new LateCounts().onApplicationBootstrap();
  for (const model of ['gpt-4o', 'gpt-4']) {
    const loaded = Tokenizer.load(model).then(() => 'at once');
    console.log(await Promise.race([loaded, turn('later')]));
  }
`;

it('A gateway that has started loads no tables any more', async () => {
  const program = ['--input-type=module', '--eval', PROGRAM];
  const { stdout } = await promisify(execFile)(process.execPath, program);
  expect(stdout.trim().split('\n')).toEqual(['at once', 'at once']);
});
