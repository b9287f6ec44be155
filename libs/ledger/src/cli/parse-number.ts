import { InvalidArgumentError } from 'commander';

/** A number above 0, `_` between its digits allowed. @throws InvalidArgumentError @internal */
export function parsePositive(text: string): number {
  const value = Number(text.replaceAll('_', ''));
  if (text.trim() === '' || !(value > 0 && value <= 1e9)) {
    throw new InvalidArgumentError('must be a number above 0');
  }
  return value;
}

/** The format of whole numbers in settings, so that variables mean the same. */
const WHOLE = /^\d+(?:_\d+)*$/;

/**
 * A whole number from 1 to 10,000 in decimal digits, `_` between them allowed.
 *
 * @throws InvalidArgumentError
 * @internal
 */
export function parseCount(text: string): number {
  const digits = text.trim();
  const value = Number(digits.replaceAll('_', ''));
  if (!WHOLE.test(digits) || value < 1 || value > 10_000) {
    throw new InvalidArgumentError('must be a whole number from 1 to 10,000');
  }
  return value;
}
