import { InvalidArgumentError } from 'commander';

/** A moment. @throws InvalidArgumentError @internal */
export function parseTime(text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('must be a time in ISO 8601');
  return time;
}
