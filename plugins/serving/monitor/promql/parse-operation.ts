import type { SyntaxNode } from '@lezer/common';
import {
  type AggregateOperator,
  type ArithmeticOperator,
  type ComparisonOperator,
  type Expression,
  isScalar,
  type Matching,
  type RangeFunction,
  type SetOperator,
  type ValueFunction,
} from './expression.ts';
import { nodesIn, type Part, textOf } from './parse-selector.ts';
import { refuse } from './syntax-problem.ts';

type Inner = (node: SyntaxNode) => Expression;

const RANGE_FUNCTIONS: ReadonlySet<string> = new Set<RangeFunction>([
  'rate',
  'increase',
  'delta',
  'changes',
  'avg_over_time',
  'min_over_time',
  'max_over_time',
  'sum_over_time',
  'count_over_time',
]);

/** What each function takes: `s` one number, `v` a vector. */
const VALUE_FUNCTIONS: Readonly<Record<ValueFunction, string>> = {
  abs: 'v',
  absent: 'v',
  clamp_max: 'vs',
  clamp_min: 'vs',
  histogram_quantile: 'sv',
  time: '',
};

const AGGREGATES: ReadonlySet<string> = new Set<AggregateOperator>(['sum', 'avg', 'max', 'min', 'count']);
const ARITHMETIC: ReadonlySet<string> = new Set<ArithmeticOperator>(['+', '-', '*', '/', '%', '^']);
const COMPARISONS: ReadonlySet<string> = new Set<ComparisonOperator>(['==', '!=', '>', '<', '>=', '<=']);
const SETS: ReadonlySet<string> = new Set<SetOperator>(['and', 'or', 'unless']);

/** `function(operand, …)`. */
export function call(
  part: Part,
  inner: Inner,
  range: (part: Part, rangeFunction: RangeFunction) => Expression,
): Expression {
  const [identifier = part.node, body = part.node] = part.children;
  const name = textOf(part, identifier);
  const operands = nodesIn(body);
  if (RANGE_FUNCTIONS.has(name)) {
    const [operand] = operands;
    if (operand === undefined || operands.length > 1) refuse(part.node, `${name}() takes one range`);
    return range({ ...part, node: operand, children: nodesIn(operand) }, name as RangeFunction);
  }
  if (!Object.hasOwn(VALUE_FUNCTIONS, name)) {
    const known = [...RANGE_FUNCTIONS, ...Object.keys(VALUE_FUNCTIONS)].join(', ');
    refuse(identifier, `the function '${name}' is not supported; there are ${known}`);
  }
  const kinds = VALUE_FUNCTIONS[name as ValueFunction];
  if (operands.length !== kinds.length) refuse(part.node, `${name}() takes ${kinds.length} operands`);
  return {
    kind: 'call',
    function: name as ValueFunction,
    operands: operands.map((operand, index) => checked(operand, inner(operand), kinds[index] === 's')),
  };
}

function checked(node: SyntaxNode, expression: Expression, isWanted: boolean): Expression {
  if (isScalar(expression) === isWanted) return expression;
  return refuse(node, isWanted ? 'a number is needed here' : 'a metric is needed here, not a number');
}

/** `sum by (label) (operand)`. */
export function aggregate(part: Part, inner: Inner): Expression {
  const operation = part.children.find(({ name }) => name === 'AggregateOp') ?? part.node;
  const operator = textOf(part, operation).toLowerCase();
  if (!AGGREGATES.has(operator)) {
    refuse(operation, `'${operator}' is not supported; there are ${[...AGGREGATES].join(', ')}`);
  }
  const modifier = part.children.find(({ name }) => name === 'AggregateModifier');
  const body = part.children.find(({ name }) => name === 'FunctionCallBody') ?? part.node;
  const [operand, ...others] = nodesIn(body);
  if (operand === undefined || others.length > 0) refuse(body, `${operator} takes one operand`);
  return {
    kind: 'aggregate',
    operator: operator as AggregateOperator,
    operand: checked(operand, inner(operand), false),
    isWithout: (modifier?.getChild('Without') ?? null) !== null,
    labels: labelsIn(part, modifier),
  };
}

/** `left operator right`. */
export function binary(part: Part, inner: Inner): Expression {
  const { node, children } = part;
  const rightNode = children.length > 2 ? children.at(-1) : undefined;
  const [leftNode = node, operation = node] = children;
  if (rightNode === undefined) refuse(node, 'an operand is missing');
  const operator = textOf(part, operation).toLowerCase();
  if (operator === '^' && /^[+-]/.test(textOf(part, leftNode))) return signedPower(part, inner, leftNode);
  const sides = { left: inner(leftNode), right: inner(rightNode), matching: matchingOf(part) };
  if (SETS.has(operator)) return combinedSets(part, operator as SetOperator, sides);
  if (COMPARISONS.has(operator)) return comparison(part, operator as ComparisonOperator, sides);
  if (!ARITHMETIC.has(operator)) refuse(operation, `the operator '${operator}' is not supported`);
  return { kind: 'arithmetic', operator: operator as ArithmeticOperator, ...sides };
}

interface Sides {
  readonly left: Expression;
  readonly right: Expression;
  readonly matching: Matching;
}

function combinedSets({ node }: Part, operator: SetOperator, sides: Sides): Expression {
  if (isScalar(sides.left) || isScalar(sides.right)) {
    refuse(node, `'${operator}' stands between metrics, not numbers`);
  }
  return { kind: 'set', operator, ...sides };
}

/** The grammar binds a sign to the left operand; in PromQL -2^2 is -4. */
function signedPower(part: Part, inner: Inner, signed: SyntaxNode): Expression {
  const left = inner(signed);
  const isNegative = textOf(part, signed).startsWith('-');
  const unsigned = left.kind === 'negation' ? left.operand : left;
  const power = {
    kind: 'arithmetic',
    operator: '^',
    left:
      unsigned.kind === 'number' && isNegative ? { ...unsigned, value: Math.abs(unsigned.value) } : unsigned,
    right: inner(part.children.at(-1) ?? signed),
    matching: matchingOf(part),
  } as const;
  return isNegative ? { kind: 'negation', operand: power } : power;
}

function comparison({ node, children }: Part, operator: ComparisonOperator, sides: Sides): Expression {
  const isBool = children.some(({ name }) => name === 'BoolModifier');
  if (!isBool && isScalar(sides.left) && isScalar(sides.right)) {
    refuse(node, `between two numbers write '${operator} bool'`);
  }
  return { kind: 'comparison', operator, ...sides, isBool };
}

function matchingOf(part: Part): Matching {
  const clause = part.children.find(({ name }) => name === 'MatchingModifierClause');
  const grouped = clause?.getChild('GroupLeft') ?? clause?.getChild('GroupRight') ?? null;
  if (grouped !== null) refuse(grouped, 'group_left and group_right are not supported');
  return { isOn: (clause?.getChild('On') ?? null) !== null, labels: labelsIn(part, clause) };
}

function labelsIn(part: Part, node: SyntaxNode | undefined): string[] {
  const labels = node?.getChild('GroupingLabels')?.getChildren('LabelName') ?? [];
  return labels.map((label) => textOf(part, label));
}
