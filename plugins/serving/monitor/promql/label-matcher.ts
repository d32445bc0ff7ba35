import { RE2JS } from 're2js';

/** How a label is compared; a label that is not there is empty. */
export type MatchOperator = '=' | '!=' | '=~' | '!~';

/** One comparison within `{}`. */
export interface LabelMatcher {
  readonly label: string;
  readonly operator: MatchOperator;
  readonly value: string;
  /** Whether a value of the label fits. */
  readonly matches: (value: string) => boolean;
}

/** Longest regular expression, in characters. */
const MAX_PATTERN_LENGTH = 1_000;

/**
 * Makes a matcher.
 *
 * @remarks Regular expressions are those of Prometheus (RE2), match the whole value, and take linear time.
 * @throws Error when the regular expression is not valid or too long
 */
export function labelMatcher(label: string, operator: MatchOperator, value: string): LabelMatcher {
  return { label, operator, value, matches: test(operator, value) };
}

function test(operator: MatchOperator, value: string): (candidate: string) => boolean {
  if (operator === '=') return (candidate) => candidate === value;
  if (operator === '!=') return (candidate) => candidate !== value;
  if (value.length > MAX_PATTERN_LENGTH) {
    throw new Error(`a regular expression has at most ${MAX_PATTERN_LENGTH} characters`);
  }
  const pattern = RE2JS.compile(value, RE2JS.DOTALL);
  return operator === '=~'
    ? (candidate) => pattern.matches(candidate)
    : (candidate) => !pattern.matches(candidate);
}
