import { arithmetic, combine, combineSets, holds } from './binary-operators.ts';
import type { AggregateOperator, Expression, SelectorExpression } from './expression.ts';
import { histogramQuantile } from './histogram-quantile.ts';
import {
  only,
  NAME_LABEL,
  type SeriesLabels,
  signatureOf,
  sortedLabels,
  unnamed,
  without,
} from './labels.ts';
import { rangeValue } from './range-functions.ts';
import type { LabelMatcher } from './label-matcher.ts';
import { EvaluationProblem, type RangeSamples, type Value, type Vector } from './vector.ts';

/** Where the samples come from. */
export interface SampleSource {
  /** Newest samples at a time. */
  at(matchers: readonly LabelMatcher[], timeMs: number): Vector;
  /** Samples after `startMs` up to and with `endMs`. */
  between(matchers: readonly LabelMatcher[], startMs: number, endMs: number): Iterable<RangeSamples>;
}

/** What one evaluation works with. */
export interface Evaluation {
  readonly source: SampleSource;
  readonly timeMs: number;
  /** Samples that may be read at the most, so that no expression keeps the thread busy. */
  readonly maxSamples: number;
}

/** Evaluates an expression at a time. @throws EvaluationProblem */
export function evaluate(expression: Expression, evaluation: Evaluation): Value {
  return new Evaluator(evaluation).value(expression);
}

class Evaluator {
  readonly #source: SampleSource;
  readonly #timeMs: number;
  readonly #maxSamples: number;
  #read = 0;

  constructor({ source, timeMs, maxSamples }: Evaluation) {
    this.#source = source;
    this.#timeMs = timeMs;
    this.#maxSamples = maxSamples;
  }

  value(expression: Expression): Value {
    switch (expression.kind) {
      case 'number':
        return expression.value;
      case 'selector':
        return this.#selected(expression);
      case 'range':
        return this.#ranged(expression);
      case 'call':
        return this.#called(expression);
      case 'aggregate':
        return aggregated(expression, this.#vector(expression.operand));
      case 'negation':
        return negated(this.value(expression.operand));
      default:
        return this.#combined(expression);
    }
  }

  #vector(expression: Expression): Vector {
    const value = this.value(expression);
    if (typeof value === 'number') throw new EvaluationProblem('a metric is needed, not a number');
    return value;
  }

  #selected({ matchers, offsetMs }: SelectorExpression): Vector {
    const vector = this.#source.at(matchers, this.#timeMs - offsetMs);
    this.#spend(vector.length);
    return vector;
  }

  #ranged({ function: name, selector, rangeMs }: Extract<Expression, { kind: 'range' }>): Vector {
    const endMs = this.#timeMs - selector.offsetMs;
    const span = { startMs: endMs - rangeMs, endMs };
    const results = [];
    for (const samples of this.#source.between(selector.matchers, span.startMs, span.endMs)) {
      this.#spend(samples.values.length);
      const value = rangeValue(name, samples, span);
      if (value !== undefined) results.push({ labels: unnamed(samples.labels), value });
    }
    return distinct(results);
  }

  #called({ function: name, operands }: Extract<Expression, { kind: 'call' }>): Value {
    if (name === 'time') return this.#timeMs / 1_000;
    const [first, second] = operands as [Expression, Expression];
    const number = (operand: Expression): number => this.value(operand) as number;
    switch (name) {
      case 'histogram_quantile':
        return histogramQuantile(number(first), this.#vector(second));
      case 'absent':
        return absent(first, this.#vector(first));
      case 'abs':
        return mapped(this.#vector(first), Math.abs);
      case 'clamp_max': {
        const most = number(second);
        return mapped(this.#vector(first), (value) => Math.min(value, most));
      }
      case 'clamp_min': {
        const least = number(second);
        return mapped(this.#vector(first), (value) => Math.max(value, least));
      }
    }
  }

  #combined(expression: Extract<Expression, { kind: 'arithmetic' | 'comparison' | 'set' }>): Value {
    const { matching } = expression;
    const [left, right] = [this.value(expression.left), this.value(expression.right)];
    if (expression.kind === 'set') {
      return combineSets(expression.operator, [left as Vector, right as Vector], matching);
    }
    if (expression.kind === 'arithmetic') {
      const { operator } = expression;
      return combine(left, right, {
        of: (one, other) => arithmetic(operator, one, other),
        matching,
        keepsName: false,
      });
    }
    const { operator, isBool } = expression;
    // What passes is always the value of the series, on whichever side it stands.
    const isSwapped = typeof left === 'number' && typeof right !== 'number';
    const of = (one: number, other: number): number | undefined => {
      const isTrue = holds(operator, one, other);
      if (isBool) return Number(isTrue);
      return isTrue ? (isSwapped ? other : one) : undefined;
    };
    return combine(left, right, { of, matching, keepsName: !isBool });
  }

  #spend(samples: number): void {
    this.#read += samples;
    if (this.#read <= this.#maxSamples) return;
    throw new EvaluationProblem(
      `the expression reads more than ${this.#maxSamples} samples; select fewer series`,
    );
  }
}

function mapped(vector: Vector, change: (value: number) => number): Vector {
  return distinct(vector.map(({ labels, value }) => ({ labels: unnamed(labels), value: change(value) })));
}

function negated(value: Value): Value {
  return typeof value === 'number' ? -value : mapped(value, (one) => -one);
}

/** Without its name a series may be the same as another one, which would make one of them vanish. */
function distinct(vector: Vector): Vector {
  if (new Set(vector.map(({ labels }) => signatureOf(labels))).size < vector.length) {
    throw new EvaluationProblem(
      'several series have the same labels apart from their name; select one metric',
    );
  }
  return vector;
}

function absent(operand: Expression, vector: Vector): Vector {
  if (vector.length > 0) return [];
  const matchers = operand.kind === 'selector' ? operand.matchers : [];
  const named = matchers.filter(
    ({ label, operator }) =>
      operator === '=' &&
      label !== NAME_LABEL &&
      matchers.filter((matcher) => matcher.label === label).length === 1,
  );
  return [{ labels: sortedLabels(named.map(({ label, value }) => [label, value])), value: 1 }];
}

function aggregated(
  { operator, isWithout, labels: names }: Extract<Expression, { kind: 'aggregate' }>,
  vector: Vector,
): Vector {
  const groups = new Map<string, { readonly labels: SeriesLabels; readonly values: number[] }>();
  for (const { labels, value } of vector) {
    const kept = isWithout ? without(labels, [NAME_LABEL, ...names]) : only(labels, names);
    const key = signatureOf(kept);
    const group = groups.get(key) ?? { labels: kept, values: [] };
    group.values.push(value);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ labels, values }) => ({ labels, value: summarised(operator, values) }));
}

function summarised(operator: AggregateOperator, values: readonly number[]): number {
  const sum = (): number => values.reduce((total, value) => total + value, 0);
  // NaN loses against any number, as in Prometheus.
  const extreme = (isBetter: (one: number, other: number) => boolean): number =>
    values.reduce((best, value) => (Number.isNaN(best) || isBetter(value, best) ? value : best), Number.NaN);
  switch (operator) {
    case 'sum':
      return sum();
    case 'avg':
      return sum() / values.length;
    case 'count':
      return values.length;
    case 'max':
      return extreme((one, other) => one > other);
    case 'min':
      return extreme((one, other) => one < other);
  }
}
