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

/**
 * Standard errors by which the candidate must be worse: a look at each failure needs more of them than the one at the end
 * of a step. Of canaries that are as good, with 5 % failures on both sides and 100 requests a step, 2 % are given up in a step.
 */
const AT_ONCE = 3.5;
const AT_THE_END = 1.64;

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
  const worse = excess(candidate, baseline, settings.maxFailureIncrease);
  // Not to be waited for: what chance does not explain.
  if (candidate.requests >= MIN_REQUESTS && worse > AT_ONCE)
    return { kind: 'rollback', reason: failureText(candidate, baseline) };
  if (stepMs < settings.intervalMs || candidate.requests < settings.minRequests) return WAIT;
  if (worse > AT_THE_END) return { kind: 'rollback', reason: failureText(candidate, baseline) };
  const slow = slowText(settings, candidate, baseline);
  return slow === '' ? { kind: 'advance' } : { kind: 'rollback', reason: slow };
}

/** By how many standard errors the candidate fails more often than is accepted. */
function excess(candidate: ArmResult, baseline: ArmResult, accepted: number): number {
  const one = estimate(candidate);
  // A baseline without requests has no failures either.
  const other = baseline.requests === 0 ? { rate: 0, variance: 0 } : estimate(baseline);
  return (one.rate - other.rate - accepted) / Math.sqrt(one.variance + other.variance);
}

/** With one success and one failure more, so that few requests do not look certain (A. Agresti, B. Caffo, 2000). */
function estimate({ requests, failures }: ArmResult): { readonly rate: number; readonly variance: number } {
  const count = requests + 2;
  const rate = (failures + 1) / count;
  return { rate, variance: (rate * (1 - rate)) / count };
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
