import type { CanaryPolicy, MirrorPolicy } from 'lamella/proto/lamella/serving/v1/balance_service';
import { millisecondsOf, numberOf, refuse } from './check-values.ts';
import type { CanarySettings, MirrorSettings } from './settings.ts';

const STEPS: readonly number[] = [1, 5, 25, 50, 100];
const MAX_STEPS = 100;

/** Tolerance that single precision needs after a few layers. */
const TOLERANCE = 0.0001;

/** @throws TRAFFIC_INVALID */
export function canaryOf(
  policy: CanaryPolicy | undefined,
  labels: ReadonlySet<string>,
): CanarySettings | undefined {
  if (policy === undefined) return undefined;
  const candidate = policy.candidate === '' ? 'canary' : policy.candidate;
  const baseline = policy.baseline === '' ? 'stable' : policy.baseline;
  for (const label of [candidate, baseline])
    if (!labels.has(label)) refuse(`traffic.canary: there is no split '${label.slice(0, 80)}'`);
  if (candidate === baseline) refuse('traffic.canary must name two different splits');
  const accepted = numberOf(policy.maxFailuresIncreasePermille, 10, {
    field: 'canary.max_failures_increase_permille',
    most: 1_000,
  });
  return {
    candidate,
    baseline,
    steps: stepsOf(policy.steps),
    intervalMs: millisecondsOf(policy.interval, 60_000, 'canary.interval'),
    minRequests: numberOf(policy.minRequests, 100, { field: 'canary.min_requests', most: 1_000_000 }),
    maxFailureIncrease: accepted / 1_000,
    maxP99Factor:
      numberOf(policy.maxP99Percent, 150, { field: 'canary.max_p99_percent', most: 100_000 }) / 100,
    isManual: policy.manual,
  };
}

function stepsOf(steps: readonly number[]): readonly number[] {
  if (steps.length === 0) return STEPS;
  const isAscending = steps.every((step, index) => step > (steps[index - 1] ?? 0) && step <= 100);
  if (!isAscending || steps.length > MAX_STEPS)
    refuse('traffic.canary.steps must be ascending, between 1 and 100');
  return steps.at(-1) === 100 ? steps : [...steps, 100];
}

/** @throws TRAFFIC_INVALID */
export function mirrorOf(
  policy: MirrorPolicy | undefined,
  labels: ReadonlySet<string>,
): MirrorSettings | undefined {
  if (policy === undefined) return undefined;
  const { split, percent, absoluteTolerance, relativeTolerance } = policy;
  if (!labels.has(split)) refuse(`traffic.mirror: there is no split '${split.slice(0, 80)}'`);
  if (!(absoluteTolerance >= 0 && relativeTolerance >= 0))
    refuse('the tolerances of traffic.mirror must not be negative');
  const isUnsaid = absoluteTolerance === 0 && relativeTolerance === 0;
  return {
    split,
    percent: numberOf(percent, 100, { field: 'mirror.percent', most: 100 }),
    absoluteTolerance: isUnsaid ? TOLERANCE : absoluteTolerance,
    relativeTolerance: isUnsaid ? TOLERANCE : relativeTolerance,
    maxInFlight: numberOf(policy.maxInFlight, 16, { field: 'mirror.max_in_flight', most: 1_000 }),
  };
}
