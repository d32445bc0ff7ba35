import type { SyntaxNode } from '@lezer/common';

/** An expression that is not in the supported part of PromQL; says where. */
export class SyntaxProblem extends Error {
  /** Index of the first character that is not understood, from 0. */
  readonly index: number;

  constructor(problem: string, index: number) {
    super(problem);
    this.name = 'SyntaxProblem';
    this.index = index;
  }
}

/** Line and column of an index in a text, both from 1. */
export function positionOf(text: string, index: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, index).split('\n');
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

/** Refuses a part of an expression. */
export function refuse(node: SyntaxNode, problem: string): never {
  throw new SyntaxProblem(problem, node.from);
}
