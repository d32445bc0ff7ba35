import type { SyntaxNode } from '@lezer/common';
import { parseDurationMs } from './duration.ts';
import type { Expression, RangeFunction, SelectorExpression } from './expression.ts';
import { type LabelMatcher, labelMatcher, type MatchOperator } from './label-matcher.ts';
import { refuse } from './syntax-problem.ts';

/** A node of the grammar with the text it stands in. */
export interface Part {
  readonly node: SyntaxNode;
  readonly text: string;
  readonly children: readonly SyntaxNode[];
}

/** Text of a node. */
export function textOf({ text }: Pick<Part, 'text'>, node: SyntaxNode): string {
  return text.slice(node.from, node.to);
}

/** Nodes directly inside a node, without comments. */
export function nodesIn(node: SyntaxNode): SyntaxNode[] {
  const nodes: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.name !== 'LineComment') nodes.push(child);
  }
  return nodes;
}

/** `1.5`, `1e3`, `0x1F`, `Inf`, `NaN`, and durations, which count in seconds. */
export function number(part: Part): Expression {
  const text = textOf(part, part.node).replaceAll('_', '').toLowerCase();
  const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const value = digits === 'inf' ? Number.POSITIVE_INFINITY : digits === 'nan' ? Number.NaN : valueOf(digits);
  if (value === undefined) refuse(part.node, `'${text}' is no number`);
  return { kind: 'number', value: sign === '-' ? -value : value };
}

function valueOf(digits: string): number | undefined {
  const durationMs = parseDurationMs(digits);
  if (durationMs !== undefined) return durationMs / 1_000;
  const value = Number(digits);
  return Number.isNaN(value) ? undefined : value;
}

/** `name{label="value"} offset 5m`. */
export function selector(part: Part): SelectorExpression {
  const { node, children } = part;
  if (node.name === 'VectorSelector') return { kind: 'selector', matchers: matchers(part), offsetMs: 0 };
  const [inner, , offset] = children;
  if (inner?.name !== 'VectorSelector') refuse(node, 'an offset belongs directly after a metric');
  return {
    kind: 'selector',
    matchers: matchers({ ...part, node: inner }),
    offsetMs: durationMs(part, offset ?? node),
  };
}

/** `metric[5m]`, with an offset or without, inside the function that makes a value of it. */
export function range(part: Part, rangeFunction: RangeFunction): Expression {
  const { node } = part;
  if (node.name === 'OffsetExpr') {
    const [inner = node, , offset = node] = part.children;
    const plain = range({ ...part, node: inner }, rangeFunction);
    if (plain.kind !== 'range') return plain;
    return { ...plain, selector: { ...plain.selector, offsetMs: durationMs(part, offset) } };
  }
  const metric = node.firstChild;
  const duration = node.lastChild;
  if (node.name !== 'MatrixSelector' || metric?.name !== 'VectorSelector' || duration === null) {
    refuse(node, `${rangeFunction}() needs a range, for example ${rangeFunction}(metric[5m])`);
  }
  const rangeMs = durationMs(part, duration);
  if (rangeMs === 0) refuse(duration, 'a range is longer than 0');
  const selected = { kind: 'selector', matchers: matchers({ ...part, node: metric }), offsetMs: 0 } as const;
  return { kind: 'range', function: rangeFunction, selector: selected, rangeMs };
}

function durationMs(part: Part, node: SyntaxNode): number {
  const text = textOf(part, node);
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1_000 : parseDurationMs(text);
  if (value === undefined) refuse(node, `'${text}' is no duration; write for example 5m`);
  return value;
}

function matchers(part: Part): LabelMatcher[] {
  const { node } = part;
  const name = node.getChild('Identifier');
  const named = name === null ? [] : [labelMatcher('__name__', '=', textOf(part, name))];
  const braces = node.getChild('LabelMatchers');
  const all = [...named, ...(braces === null ? [] : bracedMatchers(part, braces))];
  // As in Prometheus: what would name every series is a mistake.
  if (all.every(({ matches }) => matches(''))) {
    refuse(node, 'a selector needs a metric name, or a label that must not be empty');
  }
  return all;
}

function bracedMatchers(part: Part, braces: SyntaxNode): LabelMatcher[] {
  const found: LabelMatcher[] = [];
  for (const child of nodesIn(braces)) {
    if (child.name !== 'UnquotedLabelMatcher') refuse(child, 'names in quotes are not supported');
    const [label, operator, value] = [child.firstChild, child.getChild('MatchOp'), child.lastChild];
    if (label === null || operator === null || value === null)
      refuse(child, 'a label matcher is not complete');
    const text = stringOf(part, value);
    try {
      found.push(labelMatcher(textOf(part, label), textOf(part, operator) as MatchOperator, text));
    } catch (error) {
      refuse(value, `the regular expression is not valid: ${(error as Error).message}`);
    }
  }
  return found;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

function stringOf(part: Part, node: SyntaxNode): string {
  const text = textOf(part, node);
  const content = text.slice(1, -1);
  if (text.startsWith('`')) return content;
  return content.replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|.)/gs, (_whole, escape: string) => {
    if (escape.length > 1) return String.fromCodePoint(Number.parseInt(escape.slice(1), 16));
    return ESCAPES[escape] ?? refuse(node, `'\\${escape}' is not a known escape`);
  });
}
