import { evaluate, type SampleSource } from '../promql/evaluate.ts';
import { unnamed } from '../promql/labels.ts';
import { EvaluationProblem, type Vector } from '../promql/vector.ts';
import type { Rule } from '../rules/rule.ts';
import type { Template } from '../rules/template.ts';
import { type Alert, alertIdOf, alertLabels } from './alert.ts';

/** Samples that one evaluation may read. */
export const MAX_SAMPLES = 1_000_000;

/** What a rule gives now for one set of labels. Times and state are not decided yet. */
export type Candidate = Pick<Alert, 'id' | 'ruleId' | 'labels' | 'annotations' | 'value'>;

/** What a rule gives now, by the ids of its alerts. */
export type Candidates = ReadonlyMap<string, Candidate>;

/** Evaluates a rule. @throws EvaluationProblem also when two series give the same alert, or too many do */
export function candidatesOf(rule: Rule, source: SampleSource, { timeMs, limit }: Moment): Candidates {
  const value = evaluate(rule.expression, { source, timeMs, maxSamples: MAX_SAMPLES });
  const vector: Vector = typeof value === 'number' ? [{ labels: {}, value }] : value;
  if (vector.length > limit) {
    throw new EvaluationProblem(`the rule gives ${vector.length} alerts, more than the ${limit} allowed`);
  }
  const candidates = new Map<string, Candidate>();
  for (const sample of vector) {
    const values = { labels: unnamed(sample.labels), value: sample.value };
    const filled = (templates: ReadonlyMap<string, Template>): [string, string][] =>
      [...templates].map(([name, template]) => [name, template(values)]);
    const labels = alertLabels(rule.name, Object.entries(values.labels), filled(rule.labels));
    const id = alertIdOf(rule.id, labels);
    if (candidates.has(id)) throw new EvaluationProblem('several series give an alert with the same labels');
    const annotations = Object.fromEntries(filled(rule.annotations));
    candidates.set(id, { id, ruleId: rule.id, labels, annotations, value: sample.value });
  }
  return candidates;
}

/** When a rule is evaluated, and how many alerts it may have. */
export interface Moment {
  readonly timeMs: number;
  readonly limit: number;
}
