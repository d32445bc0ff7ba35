import type { LabelMatcher } from './label-matcher.ts';
import { labelOf, type SeriesLabels } from './labels.ts';
import { parseExpression } from './parse.ts';
import { SyntaxProblem } from './syntax-problem.ts';

/** Reads `{label="value", other=~"pattern"}`. @throws SyntaxProblem */
export function parseMatchers(text: string): readonly LabelMatcher[] {
  const expression = text.trimStart().startsWith('{') ? parseExpression(text) : undefined;
  if (expression?.kind === 'selector' && expression.offsetMs === 0) return expression.matchers;
  throw new SyntaxProblem('write {label="value"}', 0);
}

/** Whether labels fit all matchers. */
export function fits(matchers: readonly LabelMatcher[], labels: SeriesLabels): boolean {
  return matchers.every(({ label, matches }) => matches(labelOf(labels, label)));
}
