import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import type { Expression } from './expression.ts';
import { aggregate, binary, call } from './parse-operation.ts';
import { nodesIn, number, type Part, range, selector } from './parse-selector.ts';
import { refuse, SyntaxProblem } from './syntax-problem.ts';

/** Longest expression, in characters. */
export const MAX_EXPRESSION_LENGTH = 10_000;

/** Expressions inside one another at the most, which keeps the stack small. */
const MAX_DEPTH = 50;

/**
 * Reads an expression with Prometheus's own grammar and refuses what is not evaluated here.
 *
 * @throws SyntaxProblem with the place
 */
export function parseExpression(text: string): Expression {
  if (text.length > MAX_EXPRESSION_LENGTH) {
    throw new SyntaxProblem(`an expression has at most ${MAX_EXPRESSION_LENGTH} characters`, 0);
  }
  const root = parser.parse(text).topNode;
  refuseErrors(root, text);
  return convert(nodesIn(root)[0] ?? refuse(root, 'the expression is empty'), text, 0);
}

function refuseErrors(root: SyntaxNode, text: string): void {
  const cursor = root.cursor();
  do {
    if (!cursor.type.isError) continue;
    const rest = text.slice(cursor.from).trimStart();
    const found = rest === '' ? 'the end of the expression' : `'${rest.slice(0, 20)}'`;
    throw new SyntaxProblem(`${found} was not expected`, cursor.from);
  } while (cursor.next());
}

type Inner = (node: SyntaxNode) => Expression;

/** Converts a node of the grammar; goes on with those inside it. */
function convert(node: SyntaxNode, text: string, depth: number): Expression {
  if (depth > MAX_DEPTH) refuse(node, `expressions are nested deeper than ${MAX_DEPTH}`);
  const converter = CONVERTERS[node.name];
  if (converter === undefined) refuse(node, UNSUPPORTED[node.name] ?? `'${node.name}' is not supported`);
  return converter({ node, text, children: nodesIn(node) }, (child) => convert(child, text, depth + 1));
}

const CONVERTERS: Readonly<Record<string, (part: Part, inner: Inner) => Expression>> = {
  NumberDurationLiteral: number,
  VectorSelector: selector,
  OffsetExpr: selector,
  ParenExpr: ({ node, children }, inner) =>
    inner(children[0] ?? refuse(node, 'there is nothing inside the brackets')),
  UnaryExpr: negation,
  FunctionCall: (part, inner) => call(part, inner, range),
  AggregateExpr: aggregate,
  BinaryExpr: binary,
};

const UNSUPPORTED: Readonly<Record<string, string>> = {
  StringLiteral: 'a text is no value here',
  MatrixSelector: 'a range needs a function around it, such as rate()',
  SubqueryExpr: 'subqueries are not supported',
  StepInvariantExpr: "'@' is not supported",
};

function negation({ node, text, children }: Part, inner: Inner): Expression {
  const [operator = node, operand = refuse(node, 'an operand is missing')] = children;
  const expression = inner(operand);
  return text.slice(operator.from, operator.to) === '-'
    ? { kind: 'negation', operand: expression }
    : expression;
}
