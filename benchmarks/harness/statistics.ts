/** The middle one of some values. */
export function median(values: readonly number[]): number {
  return at(values, 0.5);
}

/** The value that this share of the others does not exceed. */
export function at(values: readonly number[], share: number): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length * share)] ?? Number.NaN;
}

/** Rounds to so many digits after the point. */
export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits));
}
