/** Minimum letters of a word that is compared by more than its length. */
const SHORTEST_WORD = 4;

/**
 * The name with the smallest edit distance, the first of equals. Names that contain the wanted one
 * come first, because a word was probably left out. Own code, because the package for it is an ES
 * module, which Jest can't load.
 *
 * @param names at least one
 * @internal
 */
export function nearestName(wanted: string, names: readonly string[]): string {
  const whole = wanted.length < SHORTEST_WORD ? [] : names.filter((name) => name.includes(wanted));
  const likely = whole.length > 0 ? whole : names;
  const distances = likely.map((name) => distanceOf(wanted, name));
  return likely[distances.indexOf(Math.min(...distances))]!;
}

/** The Levenshtein distance, computed row by row. */
function distanceOf(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1];
      const replaced = above[column - 1]! + (isSame ? 0 : 1);
      current.push(Math.min(replaced, above[column]! + 1, current[column - 1]! + 1));
    }
    above = current;
  }
  return above[to.length]!;
}
