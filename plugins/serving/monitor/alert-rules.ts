import type { Storage } from 'lamella/sdk';
import { AlertRuleInvalid, AlertRulesFull } from './errors.ts';

/** A condition under which someone is told. */
export interface Rule {
  /** `alertRules/{rule}`. */
  readonly name: string;
  readonly metric: string;
  /** Label values that samples must have. */
  readonly labels: Readonly<Record<string, string>>;
  /** Compare the increase a second instead of the value. */
  readonly isRate: boolean;
  readonly comparison: 'above' | 'below';
  readonly threshold: number;
  /** Time for which the condition must hold. */
  readonly holdMs: number;
  /** Where it is told: `log`, `event`. */
  readonly sinks: readonly string[];
}

const NAME = /^alertRules\/[a-z0-9][a-z0-9_-]{0,62}$/;
const METRIC = /^[a-zA-Z_:][\w:]{0,199}$/;
const MAX_HOLD_MS = 86_400_000;
const PREFIX = 'rule/';

/** The alert rules in the plugin's storage. */
export class AlertRules {
  readonly #storage: Storage;
  readonly #maxRules: number;

  constructor(storage: Storage, maxRules: number) {
    this.#storage = storage;
    this.#maxRules = maxRules;
  }

  /** All rules in the order of their names. */
  async list(): Promise<Rule[]> {
    const rules: Rule[] = [];
    for await (const { value } of this.#storage.range(PREFIX)) rules.push(value as Rule);
    return rules;
  }

  /** Writes a rule; one of the same name is replaced. @throws ALERT_RULE_INVALID, ALERT_RULES_FULL */
  async set(rule: Rule): Promise<void> {
    checkRule(rule);
    const known = await this.list();
    if (known.length >= this.#maxRules && !known.some(({ name }) => name === rule.name)) {
      throw new AlertRulesFull({ limit: String(this.#maxRules) });
    }
    await this.#storage.put(PREFIX + rule.name, rule);
  }

  /** Removes a rule if there is one. @throws ALERT_RULE_INVALID */
  async delete(name: string): Promise<void> {
    check(
      'name',
      NAME.test(name),
      'it must have the form alertRules/{rule} in small letters, digits, - and _',
    );
    await this.#storage.delete(PREFIX + name);
  }
}

function checkRule(rule: Rule): void {
  check(
    'name',
    NAME.test(rule.name),
    'it must have the form alertRules/{rule} in small letters, digits, - and _',
  );
  check('metric', METRIC.test(rule.metric), 'it must be the name of a metric');
  check('labels', Object.keys(rule.labels).length <= 32, 'there are more than 32');
  check('threshold', Number.isFinite(rule.threshold), 'it must be a number');
  check('hold', rule.holdMs >= 0 && rule.holdMs <= MAX_HOLD_MS, 'it must be between 0 and one day');
  check('sinks', rule.sinks.length > 0 && rule.sinks.length <= 2, "name one or both of 'log' and 'event'");
  for (const sink of rule.sinks) {
    check('sinks', sink === 'log' || sink === 'event', "this version has the sinks 'log' and 'event' only");
  }
}

function check(field: string, isValid: boolean, problem: string): void {
  if (isValid) return;
  throw new AlertRuleInvalid(
    { field, problem },
    { violations: [{ field: `rule.${field}`, description: problem }] },
  );
}
