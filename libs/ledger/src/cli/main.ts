import { EXIT_FAILED } from './command.error.js';
import { terminalOutput } from './command-output.js';
import { runProgram } from './program.js';

let failure: string | undefined;
process.stdout.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
  // Whoever reads a pipe may have enough, as `head` does: the work goes on. But a result that a
  // file did not get, since the disk is full, is none.
  if (code !== 'EPIPE') failure = code;
});
// Nobody can be told of it any more.
process.stderr.on('error', () => undefined);

readEnvFile();
let code = await runProgram(process.argv.slice(2), terminalOutput);
await flushed(process.stdout);
if (failure !== undefined) {
  terminalOutput.warn(`error: the result can't be written: ${failure}`);
  code = EXIT_FAILED;
}
await flushed(process.stderr);
// A connection that was refused half-way would keep the process until the server gives it up, a
// minute later.
process.exit(code);

/** As `ConfigModule.forRoot()` does in the application: what the environment has stays. */
function readEnvFile(): void {
  try {
    process.loadEnvFile();
  } catch (error) {
    const { code: reason = 'unknown' } = error as NodeJS.ErrnoException;
    if (reason !== 'ENOENT') terminalOutput.warn(`.env can't be read: ${reason}`);
  }
}

/** Resolves once the output is written, or its `error` event, which follows the callback, was emitted. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => setImmediate(resolve)));
}
