/** A part of a benchmark, with sentences that say what its figures mean. */
export interface Part {
  readonly what: string;
  readonly figures: object;
  readonly verdict: readonly string[];
}

/** Says whether a figure keeps to its goal. */
export function againstGoal(what: string, value: number, goal: number): string {
  return `${what}: ${value}, goal ${goal}: ${value <= goal ? 'kept' : 'MISSED'}`;
}

/** Says who needs less. @param ratio - What the peer takes over what we take. */
export function againstPeer(what: string, peer: string, ratio: number): string {
  return `${what}: ${peer} takes ${ratio} times of what we take: ${ratio < 1 ? 'we LOSE' : 'we win'}`;
}
