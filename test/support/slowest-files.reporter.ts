import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

const MOST = 10;

/** Ends a run with its slowest files, hooks included, so that a new slow one is noticed. */
export default class SlowestFilesReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const files = modules.map((file) => {
      const { duration, collectDuration } = file.diagnostic();
      return {
        path: relative(process.cwd(), file.moduleId),
        seconds: (duration + collectDuration) / 1000,
      };
    });
    const slowest = files.sort((a, b) => b.seconds - a.seconds).slice(0, MOST);
    process.stdout.write(`\nThe ${slowest.length} slowest of ${files.length} files:\n`);
    for (const { path, seconds } of slowest) {
      process.stdout.write(`${seconds.toFixed(1).padStart(7)} s  ${path}\n`);
    }
  }
}
