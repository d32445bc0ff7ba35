import type { ArithmeticOperator, ComparisonOperator, Matching, SetOperator } from './expression.ts';
import { matchedLabels, signatureOf, unnamed, without } from './labels.ts';
import { EvaluationProblem, type Value, type Vector, type VectorSample } from './vector.ts';

/** Computes with two numbers as IEEE 754 does. */
export function arithmetic(operator: ArithmeticOperator, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '%':
      return left % right;
    case '^':
      return left ** right;
  }
}

/** Compares two numbers. */
export function holds(operator: ComparisonOperator, left: number, right: number): boolean {
  switch (operator) {
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '>':
      return left > right;
    case '<':
      return left < right;
    case '>=':
      return left >= right;
    case '<=':
      return left <= right;
  }
}

/** How two sides are put together. */
export interface Combination {
  /** What becomes of two values; `undefined` drops the sample. */
  readonly of: (left: number, right: number) => number | undefined;
  readonly matching: Matching;
  /** Whether samples keep the name of their metric, as those do that a comparison lets through. */
  readonly keepsName: boolean;
}

/** Puts two sides together. @throws EvaluationProblem when a series would find more than one */
export function combine(left: Value, right: Value, combination: Combination): Value {
  if (typeof left === 'number' && typeof right === 'number') return combination.of(left, right) ?? Number.NaN;
  if (typeof right === 'number') return withNumber(left as Vector, right, combination);
  if (typeof left === 'number') {
    const { of } = combination;
    return withNumber(right, left, { ...combination, of: (value, number) => of(number, value) });
  }
  return withVector(left, right, combination);
}

function withNumber(vector: Vector, number: number, { of, keepsName }: Combination): Vector {
  return vector.flatMap(({ labels, value }) => {
    const result = of(value, number);
    return result === undefined ? [] : [{ labels: keepsName ? labels : unnamed(labels), value: result }];
  });
}

function withVector(left: Vector, right: Vector, { of, matching, keepsName }: Combination): Vector {
  const others = new Map<string, VectorSample>();
  for (const sample of right) {
    const signature = signatureOf(matchedLabels(sample.labels, matching));
    if (others.has(signature)) throw ambiguous('right', signature);
    others.set(signature, sample);
  }
  const taken = new Set<string>();
  return left.flatMap(({ labels, value }) => {
    const matched = matchedLabels(labels, matching);
    const signature = signatureOf(matched);
    const other = others.get(signature);
    if (other === undefined) return [];
    if (taken.has(signature)) throw ambiguous('left', signature);
    taken.add(signature);
    const result = of(value, other.value);
    if (result === undefined) return [];
    const kept = keepsName && !matching.isOn ? without(labels, matching.labels) : matched;
    return [{ labels: kept, value: result }];
  });
}

function ambiguous(side: string, signature: string): EvaluationProblem {
  return new EvaluationProblem(
    `several series on the ${side} side have the labels ${signature}; name more labels in on() or aggregate first`,
  );
}

/** Sets of series by the labels that are matched. */
export function combineSets(
  operator: SetOperator,
  [left, right]: readonly [Vector, Vector],
  matching: Matching,
): Vector {
  const signature = ({ labels }: VectorSample): string => signatureOf(matchedLabels(labels, matching));
  if (operator === 'or') {
    const known = new Set(left.map(signature));
    return [...left, ...right.filter((sample) => !known.has(signature(sample)))];
  }
  const others = new Set(right.map(signature));
  return left.filter((sample) => others.has(signature(sample)) === (operator === 'and'));
}
