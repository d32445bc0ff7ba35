import type { LabelMatcher } from './label-matcher.ts';

/** Functions of one range, for example `rate(metric[5m])`. */
export type RangeFunction =
  | 'rate'
  | 'increase'
  | 'delta'
  | 'changes'
  | 'avg_over_time'
  | 'min_over_time'
  | 'max_over_time'
  | 'sum_over_time'
  | 'count_over_time';

/** Functions of other values. */
export type ValueFunction = 'abs' | 'absent' | 'clamp_max' | 'clamp_min' | 'histogram_quantile' | 'time';

/** Operators that put series together. */
export type AggregateOperator = 'sum' | 'avg' | 'max' | 'min' | 'count';

/** Operators between two numbers. */
export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '^';

/** Operators that keep a series or not. */
export type ComparisonOperator = '==' | '!=' | '>' | '<' | '>=' | '<=';

/** Operators between sets of series. */
export type SetOperator = 'and' | 'or' | 'unless';

/** Labels by which series of two sides find each other: those named, or all but those named. */
export interface Matching {
  readonly isOn: boolean;
  readonly labels: readonly string[];
}

/** Newest samples of some series. */
export interface SelectorExpression {
  readonly kind: 'selector';
  readonly matchers: readonly LabelMatcher[];
  /** How long ago, in milliseconds. */
  readonly offsetMs: number;
}

/** An expression of the supported part of PromQL. What it gives is known before it runs. */
export type Expression =
  | { readonly kind: 'number'; readonly value: number }
  | SelectorExpression
  | {
      readonly kind: 'range';
      readonly function: RangeFunction;
      readonly selector: SelectorExpression;
      readonly rangeMs: number;
    }
  | { readonly kind: 'call'; readonly function: ValueFunction; readonly operands: readonly Expression[] }
  | {
      readonly kind: 'aggregate';
      readonly operator: AggregateOperator;
      readonly operand: Expression;
      readonly isWithout: boolean;
      readonly labels: readonly string[];
    }
  | {
      readonly kind: 'arithmetic';
      readonly operator: ArithmeticOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly matching: Matching;
    }
  | {
      readonly kind: 'comparison';
      readonly operator: ComparisonOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly matching: Matching;
      /** 0 and 1 instead of keeping and dropping. */
      readonly isBool: boolean;
    }
  | {
      readonly kind: 'set';
      readonly operator: SetOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly matching: Matching;
    }
  | { readonly kind: 'negation'; readonly operand: Expression };

/** Whether an expression gives one number instead of a vector. */
export function isScalar(expression: Expression): boolean {
  switch (expression.kind) {
    case 'number':
      return true;
    case 'call':
      return expression.function === 'time';
    case 'arithmetic':
    case 'comparison':
      return isScalar(expression.left) && isScalar(expression.right);
    case 'negation':
      return isScalar(expression.operand);
    default:
      return false;
  }
}

/** Expressions directly inside another one. */
export function operandsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'number':
    case 'selector':
      return [];
    case 'range':
      return [expression.selector];
    case 'call':
      return expression.operands;
    case 'aggregate':
    case 'negation':
      return [expression.operand];
    default:
      return [expression.left, expression.right];
  }
}

/** How far back an expression looks beyond the newest samples, in milliseconds. */
export function lookbackMs(expression: Expression): number {
  const inner = operandsOf(expression).map(lookbackMs);
  const own = expression.kind === 'range' ? expression.rangeMs : 0;
  const offset = expression.kind === 'selector' ? expression.offsetMs : 0;
  return own + Math.max(offset, ...inner);
}
