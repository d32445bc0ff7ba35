import type { Expression } from '../promql/expression.ts';
import type { Template } from './template.ts';

/** A condition under which someone is told: an `alert` of a rule file. */
export interface Rule {
  /** Name of the alert. */
  readonly name: string;
  /** Unique among all rules: file, group, name, and its number among rules of that name. */
  readonly id: string;
  readonly expression: Expression;
  /** The expression as it was written. */
  readonly text: string;
  /** Time for which the expression must give something before the alert fires. */
  readonly forMs: number;
  /** Time for which the alert fires on after the expression gives nothing. */
  readonly keepFiringForMs: number;
  readonly labels: ReadonlyMap<string, Template>;
  readonly annotations: ReadonlyMap<string, Template>;
}

/** Rules that are evaluated together. */
export interface RuleGroup {
  readonly name: string;
  /** Time between two evaluations; `undefined` for that of the plugin. */
  readonly intervalMs: number | undefined;
  /** Alerts that a rule of the group may have; 0 for any number. */
  readonly limit: number;
  readonly rules: readonly Rule[];
}

/** A file of rules as it was sent, and what it says. */
export interface RuleFile {
  /** `ruleFiles/{file}`. */
  readonly name: string;
  readonly text: string;
  readonly groups: readonly RuleGroup[];
}
