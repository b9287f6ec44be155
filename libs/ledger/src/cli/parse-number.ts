import { InvalidArgumentError } from 'commander';

/** A number above 0, `_` between its digits allowed. @throws InvalidArgumentError @internal */
export function parsePositive(text: string): number {
  const value = Number(text.replaceAll('_', ''));
  if (text.trim() === '' || !(value > 0 && value <= 1e9)) {
    throw new InvalidArgumentError('must be a number above 0');
  }
  return value;
}

/** A whole number from 1 to 10,000. @throws InvalidArgumentError @internal */
export function parseCount(text: string): number {
  const value = parsePositive(text);
  if (!Number.isInteger(value) || value > 10_000) {
    throw new InvalidArgumentError('must be a whole number from 1 to 10,000');
  }
  return value;
}
