import cliProgress from 'cli-progress';

/** Progress of a long command. @internal */
export interface Progress {
  /** @param done of the total given */
  at(done: number): void;
  end(): void;
}

/** Output of a command. @internal */
export interface CommandOutput {
  /** A line of the result. */
  line(text: string): void;
  /** A line about a fault, apart from the result. */
  warn(text: string): void;
  /** @param total 0 if unknown @param unit default: entries */
  progress(label: string, total: number, unit?: string): Progress;
}

const SILENT: Progress = { at: () => undefined, end: () => undefined };

/** Results on stdout, the rest on stderr; a progress bar only on a terminal. @internal */
export const terminalOutput: CommandOutput = {
  line: (text) => void process.stdout.write(`${text}\n`),
  warn: (text) => void process.stderr.write(`${text}\n`),
  progress(label, total, unit = 'entries') {
    if (!process.stderr.isTTY || total === 0) return SILENT;
    const bar = new cliProgress.SingleBar({
      format: `${label} [{bar}] {value}/{total} ${unit}, {eta_formatted} left`,
      stream: process.stderr,
    });
    bar.start(total, 0);
    return { at: (done) => bar.update(done), end: () => bar.stop() };
  },
};
