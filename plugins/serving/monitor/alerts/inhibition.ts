import type { LabelMatcher } from '../promql/label-matcher.ts';
import { labelOf } from '../promql/labels.ts';
import { fits, parseMatchers } from '../promql/parse-matchers.ts';
import type { Alert } from './alert.ts';

/** While an alert that fits `source` fires, nobody is told of those that fit `target` and have the same values of `equal`. */
export interface InhibitRuleConfig {
  readonly source: string;
  readonly target: string;
  readonly equal: readonly string[];
}

interface InhibitRule {
  readonly source: readonly LabelMatcher[];
  readonly target: readonly LabelMatcher[];
  readonly equal: readonly string[];
}

/** Alerts that hold others back. */
export class Inhibition {
  readonly #rules: readonly InhibitRule[];

  /** @throws SyntaxProblem */
  constructor(rules: readonly InhibitRuleConfig[]) {
    this.#rules = rules.map(({ source, target, equal }) => ({
      source: parseMatchers(source),
      target: parseMatchers(target),
      equal,
    }));
  }

  /** Ids of the firing alerts that others hold back, with the id of one that does. */
  of(firing: readonly Alert[]): ReadonlyMap<string, string> {
    const held = new Map<string, string>();
    for (const rule of this.#rules) {
      // As in Alertmanager: alerts on both sides do not hold each other back.
      const sources = firing.filter(({ labels }) => fits(rule.source, labels) && !fits(rule.target, labels));
      const byValues = new Map(sources.map((alert) => [valuesOf(alert, rule), alert.id]));
      for (const alert of firing) {
        const source = fits(rule.target, alert.labels) ? byValues.get(valuesOf(alert, rule)) : undefined;
        if (source !== undefined && !fits(rule.source, alert.labels)) held.set(alert.id, source);
      }
    }
    return held;
  }
}

function valuesOf({ labels }: Alert, { equal }: InhibitRule): string {
  return JSON.stringify(equal.map((name) => labelOf(labels, name)));
}
