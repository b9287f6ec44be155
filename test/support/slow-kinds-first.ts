import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By how long a file takes, on the whole: applications and processes, a database, neither. */
const KINDS = [/\.e2e-spec\.ts$/, /\.int-spec\.ts$/, /\.spec\.ts$/];

/**
 * Begins with the kinds of files that take long, so that no process works on one at the end while
 * the others have none left. Within a kind the order is Vitest's: longest first, if it knows.
 */
export class SlowKindsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return KINDS.flatMap((kind) => sorted.filter(({ moduleId }) => kind.test(moduleId)));
  }
}
