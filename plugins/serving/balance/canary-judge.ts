import type { CanarySettings } from './settings.ts';

/** What the requests of one of the two came to within a step. */
export interface ArmResult {
  readonly requests: number;
  readonly failures: number;
  /** `undefined` without answers. */
  readonly p99Ms: number | undefined;
}

/** What follows for a canary. */
export type Verdict =
  | { readonly kind: 'wait' | 'advance' }
  | { readonly kind: 'rollback'; readonly reason: string };

/** Requests below which not even failures say something. */
const MIN_REQUESTS = 10;

/** Standard deviations that chance is allowed: one canary in a thousand is given up although it is as good. */
const CHANCE = 3.09;

/** A p99 that is this little worse, in milliseconds, harms nobody. */
const NEGLIGIBLE_MS = 1;

const WAIT: Verdict = { kind: 'wait' };

/**
 * Compares a canary with its baseline.
 *
 * @param stepMs - How long the step has lasted.
 */
export function judge(
  settings: CanarySettings,
  { candidate, baseline }: { readonly candidate: ArmResult; readonly baseline: ArmResult },
  stepMs: number,
): Verdict {
  const accepted = rateOf(baseline) + settings.maxFailureIncrease;
  // Not to be waited for: what chance does not explain.
  if (candidate.requests >= MIN_REQUESTS && lowerBound(candidate) > accepted)
    return { kind: 'rollback', reason: failureText(candidate, baseline) };
  if (stepMs < settings.intervalMs || candidate.requests < settings.minRequests) return WAIT;
  if (rateOf(candidate) > accepted) return { kind: 'rollback', reason: failureText(candidate, baseline) };
  const slow = slowText(settings, candidate, baseline);
  return slow === '' ? { kind: 'advance' } : { kind: 'rollback', reason: slow };
}

function rateOf({ requests, failures }: ArmResult): number {
  return requests === 0 ? 0 : failures / requests;
}

/** Lower end of what the true failure rate may be (E. B. Wilson, 1927). */
function lowerBound({ requests, failures }: ArmResult): number {
  const rate = failures / requests;
  const square = CHANCE ** 2;
  const spread = CHANCE * Math.sqrt((rate * (1 - rate)) / requests + square / (4 * requests ** 2));
  return (rate + square / (2 * requests) - spread) / (1 + square / requests);
}

function failureText(candidate: ArmResult, baseline: ArmResult): string {
  const text = (arm: ArmResult): string => `${arm.failures} of ${arm.requests}`;
  return `${text(candidate)} requests of the candidate failed, and ${text(baseline)} of the baseline`;
}

function slowText(settings: CanarySettings, candidate: ArmResult, baseline: ArmResult): string {
  if (candidate.p99Ms === undefined || baseline.p99Ms === undefined) return '';
  const limitMs = Math.max(baseline.p99Ms * settings.maxP99Factor, baseline.p99Ms + NEGLIGIBLE_MS);
  if (candidate.p99Ms <= limitMs) return '';
  return `p99 of the candidate is ${candidate.p99Ms.toFixed(1)} ms, and ${baseline.p99Ms.toFixed(1)} ms of the baseline`;
}
