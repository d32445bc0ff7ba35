import { InvalidArgumentError } from 'commander';

/** Reads the share of calls that a canary gets. @throws InvalidArgumentError */
export function parseCanary(text: string): number {
  const percent = Number(text);
  if (!Number.isInteger(percent) || percent < 1 || percent > 99) {
    throw new InvalidArgumentError(`'${text}' is not a whole number from 1 to 99.`);
  }
  return percent;
}
