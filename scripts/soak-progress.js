import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * How far a soak has come, in a file: one that is killed goes on where it was, with the seed that it was
 * drawing by. Failures stay in the file until it is removed.
 */
export class SoakProgress {
  #path;
  #state;

  /**
   * @param path of the file, made when it is first needed
   * @param wanted what is to be done of each mode, by its name
   */
  constructor(path, wanted) {
    this.#path = path;
    this.#state = read(path) ?? { modes: {}, failures: [] };
    for (const mode of Object.keys(wanted)) this.#state.modes[mode] ??= { done: 0, draws: 0 };
    if (this.left(wanted) === 0 && this.failures.length === 0) {
      for (const mode of Object.keys(wanted)) this.#state.modes[mode] = { done: 0, draws: 0 };
    }
  }

  /** Sums of what each mode's draws found. */
  get modes() {
    return this.#state.modes;
  }

  /** Draws that failed: mode, seed and size, so that they can be run again. */
  get failures() {
    return this.#state.failures;
  }

  /** @returns how much is left to do */
  left(wanted) {
    const { modes } = this.#state;
    const lefts = Object.entries(wanted).map(([mode, count]) => count - modes[mode].done);
    return lefts.reduce((sum, left) => sum + Math.max(0, left), 0);
  }

  /**
   * The draw to run now: the one that was begun and not ended, or a new one of the mode with most left. It is
   * in the file when this returns.
   *
   * @param size of a draw at most
   * @returns undefined if nothing is left
   */
  begin(wanted, size) {
    if (this.left(wanted) === 0) return undefined;
    const leftOf = (mode) => wanted[mode] - this.#state.modes[mode].done;
    const [mode] = Object.keys(wanted).sort((one, other) => leftOf(other) - leftOf(one));
    this.#state.drawing ??= { mode, seed: newSeed(), size: Math.min(size, leftOf(mode)) };
    this.#write();
    return this.#state.drawing;
  }

  /** The draw has ended. @param counts what it found; undefined if it failed before it could say so */
  end(hasFailed, counts) {
    const { drawing, modes, failures } = this.#state;
    const sums = modes[drawing.mode];
    sums.draws++;
    for (const [name, count] of Object.entries(counts ?? { done: drawing.size })) {
      sums[name] = (sums[name] ?? 0) + count;
    }
    if (hasFailed) failures.push(drawing);
    delete this.#state.drawing;
    this.#write();
  }

  #write() {
    mkdirSync(dirname(this.#path), { recursive: true });
    // In one step: a soak may be killed here too.
    writeFileSync(`${this.#path}.new`, `${JSON.stringify(this.#state, null, 2)}\n`);
    renameSync(`${this.#path}.new`, this.#path);
  }
}

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function newSeed() {
  return 1 + Math.floor(Math.random() * 2 ** 30);
}
