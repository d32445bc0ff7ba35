import type { RangeFunction } from './expression.ts';
import type { RangeSamples } from './vector.ts';

/** The range that a function looks at. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** How much further than the mean distance of samples a gap may be for the range to be extended over it. */
const GAP = 1.1;

/** Value of a function over the samples of one series; `undefined` when there are too few. */
export function rangeValue(name: RangeFunction, samples: RangeSamples, span: Span): number | undefined {
  const { values } = samples;
  if (values.length === 0) return undefined;
  switch (name) {
    case 'rate':
      return perSecond(extrapolated(samples, span, true), span);
    case 'increase':
      return extrapolated(samples, span, true);
    case 'delta':
      return extrapolated(samples, span, false);
    case 'changes':
      return values.filter((value, index) => index > 0 && value !== values[index - 1]).length;
    default:
      return summary(name, values);
  }
}

function summary(name: RangeFunction, values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  switch (name) {
    case 'avg_over_time':
      return sum / values.length;
    case 'min_over_time':
      return Math.min(...values);
    case 'max_over_time':
      return Math.max(...values);
    case 'count_over_time':
      return values.length;
    default:
      return sum;
  }
}

function perSecond(increase: number | undefined, { startMs, endMs }: Span): number | undefined {
  return increase === undefined ? undefined : (increase * 1_000) / (endMs - startMs);
}

/**
 * Increase over the whole range, estimated from the samples inside it as Prometheus does
 * (prometheus/promql/functions.go, extrapolatedRate): over the edges where samples are near enough, and never to before
 * a counter was 0.
 */
function extrapolated(
  { timesMs, values }: RangeSamples,
  { startMs, endMs }: Span,
  isCounter: boolean,
): number | undefined {
  const [firstMs = 0, lastMs = 0] = [timesMs[0], timesMs.at(-1)];
  const [first = 0, last = 0] = [values[0], values.at(-1)];
  const sampledMs = lastMs - firstMs;
  if (values.length < 2 || sampledMs <= 0) return undefined;
  const increase = last - first + (isCounter ? lostInResets(values) : 0);
  const meanMs = sampledMs / (values.length - 1);
  const edge = (gapMs: number): number => (gapMs >= meanMs * GAP ? meanMs / 2 : gapMs);
  const toZeroMs = isCounter ? msToZero(first, increase, sampledMs) : Number.POSITIVE_INFINITY;
  const beforeMs = Math.min(edge(firstMs - startMs), toZeroMs);
  return (increase * (sampledMs + beforeMs + edge(endMs - lastMs))) / sampledMs;
}

/** How long ago a counter that grew so was 0. */
function msToZero(first: number, increase: number, sampledMs: number): number {
  return increase > 0 && first >= 0 ? sampledMs * (first / increase) : Number.POSITIVE_INFINITY;
}

/** What a counter had reached each time it began at 0 again. */
function lostInResets(values: readonly number[]): number {
  let lost = 0;
  let before = values[0] ?? 0;
  for (const value of values) {
    if (value < before) lost += before;
    before = value;
  }
  return lost;
}
