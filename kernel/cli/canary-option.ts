import { InvalidArgumentError } from 'commander';

/** What the option says of itself. */
export const CANARY_HELP = 'share of the calls that the new version gets at first, 1 to 99';

/** Reads the share of calls that a canary gets. @throws InvalidArgumentError */
export function parseCanary(text: string): number {
  const percent = Number(text);
  if (!Number.isInteger(percent) || percent < 1 || percent > 99) {
    throw new InvalidArgumentError(`'${text}' is not a whole number from 1 to 99.`);
  }
  return percent;
}
