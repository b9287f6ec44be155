import { EXIT_FAILED } from './command.error.js';
import { terminalOutput } from './command-output.js';
import { runProgram } from './program.js';

let failure: string | undefined;
process.stdout.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
  // The reader of a pipe may close it, like `head`; the work continues. A result that could not be
  // written to a file, for example on a full disk, is a failure.
  if (code !== 'EPIPE') failure = code;
});
// The failure can't be reported any more.
process.stderr.on('error', () => undefined);

readEnvFile();
let code = await runProgram(process.argv.slice(2), terminalOutput);
await flushed(process.stdout);
if (failure !== undefined) {
  terminalOutput.warn(`error: the result can't be written: ${failure}`);
  code = EXIT_FAILED;
}
await flushed(process.stderr);
// A half-open refused connection would keep the process alive until the server closes it a minute
// later.
process.exit(code);

/** Like `ConfigModule.forRoot()` in the application: existing variables take precedence. */
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
