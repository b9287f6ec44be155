/** Maximum remembered steps: those of some hundred shapes of entries. */
const MAX_STEPS = 4096;
/** Maximum reported names of one entry, and maximum properties checked in it. */
const MAX_NAMES = 16;
const MAX_LOOKS = 1024;

/** No unknown names; shared, so that it costs no allocation. */
export const NO_NAMES: readonly string[] = Object.freeze([]);

/** One known property in the callers' order, and the property after it. */
interface Step {
  readonly key: string;
  next: Step | undefined;
  /** Another property seen in this place. */
  readonly other: Step | undefined;
}

/**
 * Finds the own properties of an entry that match no field. Callers record objects of few shapes,
 * whose keys always have one order. For a known order each key costs one comparison of pointers. A
 * look-up for each would cost a tenth of `record()`. Source: `npm run bench -- record`.
 *
 * @internal
 */
export class UnknownFields {
  readonly #known: ReadonlySet<string>;
  readonly #root: { next: Step | undefined } = { next: undefined };
  #steps = 0;

  /** @param known names of all fields that an entry may have */
  constructor(known: Iterable<string>) {
    this.#known = new Set(known);
  }

  /**
   * Names of properties that match no field, at most 16. A property with the value `undefined` does
   * not count. Never throws.
   */
  in(entry: Readonly<Record<string, unknown>>): readonly string[] {
    let place: { next: Step | undefined } = this.#root;
    let names = NO_NAMES as string[];
    let looks = 0;
    try {
      for (const key in entry) {
        let step = place.next;
        while (step !== undefined && step.key !== key) step = step.other;
        if (step !== undefined) place = step;
        else if (this.#known.has(key)) place = this.#remember(place, key);
        else if (++looks > MAX_LOOKS || names.length >= MAX_NAMES) break;
        else if (Object.hasOwn(entry, key) && entry[key] !== undefined) {
          if (names === NO_NAMES) names = [];
          names.push(key);
        }
      }
    } catch {
      // A Proxy may refuse to list its properties; its fields were read anyway.
    }
    return names;
  }

  #remember(place: { next: Step | undefined }, key: string): { next: Step | undefined } {
    if (this.#steps >= MAX_STEPS) return { next: undefined };
    this.#steps++;
    place.next = { key, next: undefined, other: place.next };
    return place.next;
  }
}
