/** How the calls of one version ended. */
interface Outcomes {
  readonly calls: number;
  readonly faults: number;
}

/** Calls below which nothing is said of a version. */
const FEWEST_CALLS = 20;

/** 95 % one-sided normal quantile. */
const QUANTILE = 1.645;

/** Share of failing calls by which a version may be worse before anybody minds. */
const TOLERATED = 0.02;

/**
 * Tells whether a version fails so much more often than the one before it that chance does not explain it.
 *
 * @remarks The lower end of the Wilson score interval of the new version's failure ratio (E. B. Wilson, 1927) must lie
 * above the old ratio by the tolerated share: after a version that never failed, 2 failures in 20 calls are enough, 1 is
 * not, and of 1,000 calls 28 have to fail.
 */
export function isRegression(next: Outcomes, previous: Outcomes): boolean {
  if (next.calls < FEWEST_CALLS) return false;
  const previousRatio = previous.calls === 0 ? 0 : previous.faults / previous.calls;
  return wilsonLower(next) > previousRatio + TOLERATED;
}

function wilsonLower({ calls, faults }: Outcomes): number {
  const ratio = faults / calls;
  const square = QUANTILE ** 2;
  const centre = ratio + square / (2 * calls);
  const spread = QUANTILE * Math.sqrt((ratio * (1 - ratio) + square / (4 * calls)) / calls);
  return (centre - spread) / (1 + square / calls);
}
