import { EvaluationProblem } from '../promql/vector.ts';
import type { Rule, RuleFile, RuleGroup } from '../rules/rule.ts';
import type { SampleWindow } from '../sample-window.ts';
import type { AlertBook } from './alert-book.ts';
import { candidatesOf } from './rule-evaluation.ts';

/** How the last evaluation of a rule went. */
export interface RuleHealth {
  /** Time of the evaluation; milliseconds since the epoch. */
  readonly timeMs: number;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
  /** What was wrong; empty when nothing was. */
  readonly problem: string;
}

/** What {@link RuleWatch} works with. */
export interface RuleWatchParts {
  readonly window: SampleWindow;
  readonly alerts: AlertBook;
  readonly maxAlerts: number;
  /** Told once of each new problem of a rule. */
  readonly onProblem: (rule: Rule, problem: string) => void;
}

/** Evaluates rules when they are due. */
export class RuleWatch {
  readonly #parts: RuleWatchParts;
  readonly #health: Map<string, RuleHealth> = new Map();
  /** Last evaluation of each group, by file and name. */
  readonly #evaluatedMs: Map<string, number> = new Map();

  constructor(parts: RuleWatchParts) {
    this.#parts = parts;
  }

  /** How the last evaluation of a rule went; `undefined` before the first. */
  healthOf(rule: Rule): RuleHealth | undefined {
    return this.#health.get(rule.id);
  }

  /** Evaluates the groups that are due, and ends the alerts of rules that are no more. */
  async evaluate(files: readonly RuleFile[], nowMs: number): Promise<void> {
    const groups = new Map<string, RuleGroup>(
      files.flatMap(({ name, groups: own }) => own.map((group) => [`${name}/${group.name}`, group] as const)),
    );
    for (const [key, group] of groups) {
      if (this.#isDue(key, group, nowMs)) await this.#evaluateGroup(group, nowMs);
    }
    const ids = new Set([...groups.values()].flatMap(({ rules }) => rules.map(({ id }) => id)));
    for (const id of this.#health.keys()) if (!ids.has(id)) this.#health.delete(id);
    for (const key of this.#evaluatedMs.keys()) if (!groups.has(key)) this.#evaluatedMs.delete(key);
    await this.#parts.alerts.keepOnly(ids);
  }

  #isDue(key: string, { intervalMs = 0 }: RuleGroup, nowMs: number): boolean {
    const lastMs = this.#evaluatedMs.get(key);
    if (lastMs !== undefined && nowMs >= lastMs && nowMs - lastMs < intervalMs) return false;
    this.#evaluatedMs.set(key, nowMs);
    return true;
  }

  async #evaluateGroup(group: RuleGroup, nowMs: number): Promise<void> {
    for (const rule of group.rules) {
      const startMs = performance.now();
      const problem = await this.#evaluateRule(rule, group.limit, nowMs);
      if (problem !== '' && problem !== this.#health.get(rule.id)?.problem) {
        this.#parts.onProblem(rule, problem);
      }
      this.#health.set(rule.id, { timeMs: nowMs, durationMs: performance.now() - startMs, problem });
    }
  }

  /** What was wrong; the alerts of the rule stay as they are then. */
  async #evaluateRule(rule: Rule, groupLimit: number, nowMs: number): Promise<string> {
    const { alerts, maxAlerts, window } = this.#parts;
    const others = alerts.all().filter(({ ruleId }) => ruleId !== rule.id).length;
    const room = Math.max(0, maxAlerts - others);
    try {
      const limit = groupLimit === 0 ? room : Math.min(room, groupLimit);
      const candidates = candidatesOf(rule, window, { timeMs: nowMs, limit });
      await alerts.observe(rule, candidates, { nowMs, oldestMs: window.oldestMs ?? nowMs });
      return '';
    } catch (error) {
      if (error instanceof EvaluationProblem) return error.message;
      throw error;
    }
  }
}
