/** Draws faults by a seed that is printed, so that a failure can be run again. */
export class Seed {
  #state: number;

  private constructor(readonly value: number) {
    this.#state = value;
  }

  /** The seed of `LEDGER_FAULTS_SEED`, else a new one. Printed with the name of what it is for. */
  static print(what: string): Seed {
    const given = Number(process.env['LEDGER_FAULTS_SEED']);
    const seed = new Seed(given > 0 ? given : 1 + Math.floor(Math.random() * 2 ** 31));
    process.stdout.write(`${what}: LEDGER_FAULTS_SEED=${seed.value}\n`);
    return seed;
  }

  /** 0 up to 1. Source: mulberry32, public domain. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both bounds among them. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.random() * (max - min + 1));
  }

  /** Draws of these, each once before one comes again. */
  *deck<T>(of: readonly T[]): Generator<T, never> {
    for (let left: T[] = []; ;) {
      if (left.length === 0) left = [...of];
      yield left.splice(this.integer(0, left.length - 1), 1)[0]!;
    }
  }

  pick<T>(from: readonly T[]): T {
    return from[this.integer(0, from.length - 1)]!;
  }
}
