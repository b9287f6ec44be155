/**
 * The name that takes the fewest insertions, removals and replacements of a character to get at,
 * the first of equals. Own code, since the package for it is an ES module, which Jest can't load.
 *
 * @param names at least one
 * @internal
 */
export function nearestName(wanted: string, names: readonly string[]): string {
  const distances = names.map((name) => distanceOf(wanted, name));
  return names[distances.indexOf(Math.min(...distances))]!;
}

/** Levenshtein's distance, row by row of its table. */
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
