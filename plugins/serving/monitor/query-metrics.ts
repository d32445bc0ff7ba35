import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Duration, durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type {
  MetricSeriesSchema,
  QueryMetricsRequest,
} from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { MonitorConfig } from './config.ts';
import { ExpressionInvalid, MonitorRequestInvalid } from './errors.ts';
import { evaluate } from './promql/evaluate.ts';
import type { Expression } from './promql/expression.ts';
import { type SeriesLabels, signatureOf } from './promql/labels.ts';
import { parseExpression } from './promql/parse.ts';
import { positionOf, SyntaxProblem } from './promql/syntax-problem.ts';
import { EvaluationProblem, type Vector } from './promql/vector.ts';
import type { SampleWindow } from './sample-window.ts';

/** Points of time in one answer. */
const MAX_STEPS = 500;

/** Series in one answer. */
const MAX_SERIES = 500;

/** Samples that all steps of one query together may read. */
const MAX_SAMPLES = 2_000_000;

/** What a query is answered from. */
export interface QueryParts {
  readonly window: SampleWindow;
  readonly config: MonitorConfig;
  readonly nowMs: number;
}

type Series = MessageInitShape<typeof MetricSeriesSchema>;

/** Answers a query. @throws EXPRESSION_INVALID, MONITOR_REQUEST_INVALID */
export function queryMetrics(request: QueryMetricsRequest, { window, config, nowMs }: QueryParts): Series[] {
  const expression = read(request.expression);
  const times = timesOf(request, config, window.newestMs ?? nowMs);
  const series = new Map<string, { readonly labels: SeriesLabels; readonly points: [number, number][] }>();
  for (const timeMs of times) {
    for (const { labels, value } of valuesAt(expression, window, { timeMs, steps: times.length })) {
      const key = signatureOf(labels);
      const one = series.get(key) ?? { labels, points: [] };
      one.points.push([timeMs, value]);
      series.set(key, one);
    }
    if (series.size > MAX_SERIES)
      refuse(`it gives more than ${MAX_SERIES} series; aggregate them, for example sum by (model)`);
  }
  return [...series.values()].map(({ labels, points }) => ({
    labels: { ...labels },
    points: points.map(([timeMs, value]) => ({ time: timestampFromMs(timeMs), value })),
  }));
}

function read(text: string): Expression {
  try {
    return parseExpression(text);
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    const { line, column } = positionOf(text, error.index);
    return refuse(`line ${line}, character ${column}: ${error.message}`);
  }
}

function valuesAt(
  expression: Expression,
  source: SampleWindow,
  { timeMs, steps }: { readonly timeMs: number; readonly steps: number },
): Vector {
  try {
    const value = evaluate(expression, { source, timeMs, maxSamples: Math.floor(MAX_SAMPLES / steps) });
    return typeof value === 'number' ? [{ labels: {}, value }] : value;
  } catch (error) {
    if (error instanceof EvaluationProblem) return refuse(error.message);
    throw error;
  }
}

function timesOf({ range, step }: QueryMetricsRequest, config: MonitorConfig, endMs: number): number[] {
  const rangeMs = msOf('range', range) ?? 0;
  const stepMs = msOf('step', step) ?? config.intervalMs;
  check('range', rangeMs <= config.windowMs, `samples are kept for ${config.windowMs} ms; raise windowMs`);
  check('step', stepMs > 0, 'it must be longer than 0');
  const steps = Math.floor(rangeMs / stepMs);
  check('step', steps < MAX_STEPS, `that makes more than ${MAX_STEPS} points; make it longer`);
  return Array.from({ length: steps + 1 }, (_, index) => endMs - (steps - index) * stepMs);
}

function msOf(field: string, duration: Duration | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const ms = durationMs(duration);
  check(field, Number.isFinite(ms) && ms >= 0, 'it must not be negative');
  return ms;
}

function check(field: string, isValid: boolean, problem: string): void {
  if (isValid) return;
  throw new MonitorRequestInvalid({ field, problem }, { violations: [{ field, description: problem }] });
}

function refuse(problem: string): never {
  throw new ExpressionInvalid({ problem }, { violations: [{ field: 'expression', description: problem }] });
}
