/** At most two significant digits, not below the value: 137,001 becomes 140,000. @internal */
export function roundUp(value: number): number {
  return rounded(value, Math.ceil);
}

/** At most two significant digits, not above the value: 1,990 becomes 1,900. @internal */
export function roundDown(value: number): number {
  return rounded(value, Math.floor);
}

function rounded(value: number, round: (value: number) => number): number {
  if (value < 100) return round(value);
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return round(value / unit) * unit;
}
