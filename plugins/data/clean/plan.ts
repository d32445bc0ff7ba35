import { identifier, INPUT } from 'lamella/sdk';
import type { JsonObject } from '@bufbuild/protobuf';
import type { Columns } from './column.ts';
import { TooManySteps } from './errors.ts';
import type { StepPlan } from './step.ts';
import { stepNamed } from './step-table.ts';

/** A step as it is asked for. */
export interface StepRequest {
  readonly name: string;
  readonly arguments: JsonObject;
}

/** A cleaning as SQL. */
export interface CleanPlan {
  /** Query over `input` that gives the clean rows in their old order. */
  readonly sql: string;
  /** Query over `input` whose row holds `rows0` to `rowsN` and `changed1` to `changedN`. */
  readonly reportSql: string;
}

const MAX_STEPS = 200;

/** Plans a cleaning. @throws TOO_MANY_STEPS STEP_UNKNOWN STEP_ARGUMENTS_INVALID COLUMN_UNKNOWN */
export function planClean(requests: readonly StepRequest[], columns: Columns): CleanPlan {
  if (requests.length > MAX_STEPS) {
    throw new TooManySteps({ count: String(requests.length), maximum: String(MAX_STEPS) });
  }
  const plans = requests.map((request) => stepNamed(request.name).plan(request.arguments, columns));
  const names = [...columns.keys()];
  const order = identifier(freeName(names));
  // Only removing duplicates loses the order of rows.
  const isOrdered = plans.some((plan) => plan.distinctOn !== undefined);
  const first = isOrdered
    ? `SELECT *, row_number() OVER () AS ${order} FROM ${identifier(INPUT)}`
    : `SELECT * FROM ${identifier(INPUT)}`;
  const tables = [
    first,
    ...plans.map((plan, index) => stepSql(plan, { from: `step${index}`, names, order, isOrdered })),
  ];
  const chain = `WITH ${tables.map((sql, index) => `step${index} AS (${sql})`).join(', ')}`;
  const result = `SELECT ${names.map(identifier).join(', ') || '*'} FROM step${plans.length}`;
  return {
    sql: `${chain} ${result}${isOrdered ? ` ORDER BY ${order}` : ''}`,
    reportSql: `${chain} SELECT ${reportItems(plans).join(', ')}`,
  };
}

interface StepPlace {
  readonly from: string;
  readonly names: readonly string[];
  readonly order: string;
  readonly isOrdered: boolean;
}

function stepSql(
  { keep, distinctOn, replace }: StepPlan,
  { from, names, order, isOrdered }: StepPlace,
): string {
  if (distinctOn !== undefined) {
    const keys = distinctOn.map(identifier).join(', ');
    return `SELECT * FROM ${from} QUALIFY row_number() OVER (PARTITION BY ${keys} ORDER BY ${order}) = 1`;
  }
  const items = names.map((name) =>
    name === replace?.column ? `${replace.expression} AS ${identifier(name)}` : identifier(name),
  );
  const selected = replace === undefined ? '*' : [...items, ...(isOrdered ? [order] : [])].join(', ');
  return `SELECT ${selected} FROM ${from}${keep === undefined ? '' : ` WHERE ${keep}`}`;
}

function reportItems(plans: readonly StepPlan[]): readonly string[] {
  const counts = [undefined, ...plans].map(
    (_, index) => `CAST((SELECT count(*) FROM step${index}) AS DOUBLE) AS rows${index}`,
  );
  const changes = plans.map(({ replace }, index) => {
    const changed =
      replace === undefined ? '0' : `(SELECT coalesce(sum(${replace.changed}), 0) FROM step${index})`;
    return `CAST(${changed} AS DOUBLE) AS changed${index + 1}`;
  });
  return [...counts, ...changes];
}

function freeName(names: readonly string[]): string {
  const taken = new Set(names.map((name) => name.toLowerCase()));
  let name = 'row_order';
  while (taken.has(name)) name = `${name}_`;
  return name;
}
