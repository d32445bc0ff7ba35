/** A share of the requests. */
export interface Share {
  /** Label of its split. */
  readonly label: string;
  /** Weight against the others. */
  readonly weight: number;
}

/** How far a canary has come. */
export interface CanaryShare {
  readonly candidate: string;
  readonly baseline: string;
  /** Part of the two that the candidate gets, in percent. */
  readonly percent: number;
}

/**
 * The shares as a canary changes them: what the two had together is divided anew between them.
 *
 * @remarks The candidate stands first and the baseline second, so that a key which has come to the candidate stays there
 * while its share grows, and no other split's keys move.
 */
export function sharesWith(shares: readonly Share[], canary: CanaryShare | undefined): readonly Share[] {
  if (canary === undefined) return shares;
  const { candidate, baseline, percent } = canary;
  const isOfCanary = ({ label }: Share): boolean => label === candidate || label === baseline;
  const both = shares.filter(isOfCanary).reduce((sum, { weight }) => sum + weight, 0);
  const part = (both * percent) / 100;
  return [
    { label: candidate, weight: part },
    { label: baseline, weight: both - part },
    ...shares.filter((share) => !isOfCanary(share)),
  ];
}

/**
 * The share that a point falls into.
 *
 * @param point - From 0 to 1, without 1: by chance, or the hash of a sticky key.
 */
export function shareAt(shares: readonly Share[], point: number): Share | undefined {
  const total = shares.reduce((sum, { weight }) => sum + weight, 0);
  let left = point * total;
  for (const share of shares) {
    if (left < share.weight) return share;
    left -= share.weight;
  }
  // Sums of fractions may be a little too small.
  return shares.findLast(({ weight }) => weight > 0);
}
