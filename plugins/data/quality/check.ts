import { identifier, INPUT } from 'lamella/sdk';
import { create } from '@bufbuild/protobuf';
import {
  type Rule,
  RuleLevel,
  type RuleResult,
  RuleResultSchema,
} from 'lamella/proto/lamella/data/v1/quality_service';
import type { Columns } from './column.ts';
import { RuleInvalid, TooMany } from './errors.ts';
import { numberOf, type RunQuery } from './query.ts';
import { planRule, type RulePlan } from './rule.ts';

/** How all rules came out. */
export interface CheckOutcome {
  /** True when no rule of level ERROR is broken. */
  readonly passed: boolean;
  readonly results: RuleResult[];
}

const MAX_RULES = 500;
const MAX_SAMPLES = 5;
const MAX_SAMPLE_CHARACTERS = 40;

/** Checks rules, all in one query; then one more for each broken rule, to show values that break it. */
export async function checkRules(
  rules: readonly Rule[],
  columns: Columns,
  query: RunQuery,
): Promise<CheckOutcome> {
  if (rules.length > MAX_RULES) {
    throw new TooMany({ what: 'rules', count: String(rules.length), maximum: String(MAX_RULES) });
  }
  const plans = rules.map((rule, index) => planOf(rule, index, columns));
  const items = plans.map(({ observed }, index) => `CAST(${observed} AS DOUBLE) AS rule${index}`);
  const [row] = items.length === 0 ? [] : await query(`SELECT ${items.join(', ')}`);
  const results: RuleResult[] = [];
  for (const [index, rule] of rules.entries()) {
    const plan = plans[index];
    if (plan === undefined) continue;
    const observed = numberOf(row, `rule${index}`);
    const minimum = plan.isShare ? (rule.threshold ?? plan.minimum) : plan.minimum;
    const passed = observed >= minimum && observed <= plan.maximum;
    const samples = passed ? [] : await brokenValues(rule, plan, query);
    results.push(
      create(RuleResultSchema, { rule, passed, observed, message: messageOf(plan, observed, samples) }),
    );
  }
  const passed = results.every((result) => result.passed || result.rule?.level === RuleLevel.WARNING);
  return { passed, results };
}

function planOf(rule: Rule, index: number, columns: Columns): RulePlan {
  const fail = (detail: string): never => {
    throw new RuleInvalid({ index: String(index), kind: rule.kind.slice(0, 50), detail });
  };
  const { threshold } = rule;
  if (threshold !== undefined && !(threshold >= 0 && threshold <= 1))
    fail('its threshold is not between 0 and 1');
  return planRule({ kind: rule.kind, column: rule.column, arguments: rule.arguments ?? {} }, columns, fail);
}

async function brokenValues(rule: Rule, plan: RulePlan, query: RunQuery): Promise<readonly string[]> {
  if (plan.broken === undefined) return [];
  const value = `left(CAST(${identifier(rule.column)} AS VARCHAR), ${MAX_SAMPLE_CHARACTERS})`;
  const rows = await query(
    `SELECT DISTINCT coalesce(${value}, 'missing') AS value FROM ${identifier(INPUT)} ` +
      `WHERE ${plan.broken} ORDER BY value LIMIT ${MAX_SAMPLES}`,
  );
  return rows.map((row) => String(row['value']));
}

function messageOf(plan: RulePlan, observed: number, samples: readonly string[]): string {
  const figure = plan.isShare
    ? `${Number((observed * 100).toFixed(3))} % of rows`
    : `observed ${Number(observed.toPrecision(6))}`;
  return `${plan.wanted}: ${figure}${samples.length === 0 ? '' : `, not for example ${samples.join(', ')}`}`;
}
