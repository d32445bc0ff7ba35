import { identifier, INPUT, numberLiteral, textLiteral } from 'lamella/sdk';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { DataType, type Field } from 'lamella/proto/lamella/data/v1/dataset';
import { type Columns, columnNamed, isNumber, isPresent } from './column.ts';

/** A rule as it is asked for. */
export interface RuleRequest {
  readonly kind: string;
  readonly column: string;
  readonly arguments: JsonObject;
}

/** How a rule is measured. */
export interface RulePlan {
  /** SQL scalar over `input` that is what is observed. */
  readonly observed: string;
  /** SQL condition of the rows that break the rule; absent where no single row does. */
  readonly broken?: string;
  /** What is wanted, in words. */
  readonly wanted: string;
  /** Range in which the observed value must be; the share of rows when `isShare`. */
  readonly minimum: number;
  readonly maximum: number;
  /** True when the observed value is a share of rows, so that the rule's threshold applies. */
  readonly isShare: boolean;
}

/** Says why a rule is not valid. */
export type Fail = (detail: string) => never;

const TABLE = identifier(INPUT);

type PlanRule = (rule: RuleRequest, columns: Columns, fail: Fail) => RulePlan;

const KINDS: Readonly<Record<string, PlanRule>> = {
  row_count: ({ arguments: given }, _columns, fail) => {
    const { minimum = 0, maximum = Infinity } = range(given, fail);
    const observed = `(SELECT CAST(count(*) AS DOUBLE) FROM ${TABLE})`;
    return { observed, wanted: `rows ${rangeText(minimum, maximum)}`, minimum, maximum, isShare: false };
  },
  is_complete: ({ column: name, arguments: given }, columns, fail) => {
    onlyKeys(given, [], fail);
    const present = isPresent(columnNamed(columns, name));
    return shareOf('true', { kept: present, wanted: `'${name}' is there` });
  },
  in_range: ({ column: name, arguments: given }, columns, fail) => {
    const column = columnNamed(columns, name);
    if (!isNumber(column)) fail(`column '${name}' does not hold numbers`);
    const { minimum, maximum } = range(given, fail);
    const inside = (x: string): string =>
      [
        ...(minimum === undefined ? [] : [`${x} >= ${numberLiteral(minimum)}`]),
        ...(maximum === undefined ? [] : [`${x} <= ${numberLiteral(maximum)}`]),
      ].join(' AND ');
    const quoted = identifier(name);
    const kept =
      column.shape.length === 0
        ? inside(quoted)
        : `len(list_filter(${quoted}, lambda x: NOT (${inside('x')}))) = 0`;
    return shareOf(isPresent(column), { kept, wanted: `'${name}' ${rangeText(minimum, maximum)}` });
  },
  in_set: ({ column: name, arguments: given }, columns, fail) => {
    onlyKeys(given, ['values'], fail);
    const column = columnNamed(columns, name);
    const values = given['values'];
    if (!Array.isArray(values) || values.length === 0 || values.length > 10_000) {
      return fail("'values' must be a list of 1 to 10,000 values");
    }
    const list = values.map((value) => literal(column, value, fail)).join(', ');
    return shareOf(isPresent(column), {
      kept: `${identifier(name)} IN (${list})`,
      wanted: `'${name}' is one of ${values.length} values`,
    });
  },
  unique: ({ column: name, arguments: given }, columns, fail) => {
    onlyKeys(given, [], fail);
    const column = columnNamed(columns, name);
    const quoted = identifier(name);
    const present = isPresent(column);
    const observed = `(SELECT CASE WHEN count(*) = 0 THEN 1.0 ELSE CAST(count(DISTINCT ${quoted}) AS DOUBLE) / count(*) END FROM ${TABLE} WHERE ${present})`;
    const broken = `${present} AND ${quoted} IN (SELECT ${quoted} FROM ${TABLE} GROUP BY 1 HAVING count(*) > 1)`;
    return { observed, broken, wanted: `'${name}' occurs once`, minimum: 1, maximum: 1, isShare: true };
  },
  class_balance: ({ column: name, arguments: given }, columns, fail) => {
    onlyKeys(given, ['minimum_share'], fail);
    const column = columnNamed(columns, name);
    const minimum = given['minimum_share'];
    if (typeof minimum !== 'number' || !(minimum >= 0 && minimum <= 1)) {
      return fail("'minimum_share' must be a number from 0 to 1");
    }
    const counts = `SELECT count(*) AS n FROM ${TABLE} WHERE ${isPresent(column)} GROUP BY ${identifier(name)}`;
    const observed = `(SELECT coalesce(CAST(min(n) AS DOUBLE) / max(n), 0) FROM (${counts}))`;
    const wanted = `smallest to largest class of '${name}' is at least ${minimum}`;
    return { observed, wanted, minimum, maximum: 1, isShare: false };
  },
};

/** Plans how a rule is measured. @throws COLUMN_UNKNOWN and what `fail` throws */
export function planRule(rule: RuleRequest, columns: Columns, fail: Fail): RulePlan {
  const plan = Object.hasOwn(KINDS, rule.kind) ? KINDS[rule.kind] : undefined;
  if (plan === undefined) return fail(`there are the kinds ${Object.keys(KINDS).join(', ')}`);
  return plan(rule, columns, fail);
}

/** Share of the rows that count which keep the rule; all do when none counts. */
function shareOf(
  counts: string,
  { kept, wanted }: { readonly kept: string; readonly wanted: string },
): RulePlan {
  const observed =
    `(SELECT CASE WHEN count(*) = 0 THEN 1.0 ELSE CAST(count(*) FILTER (WHERE ${kept}) AS DOUBLE) / count(*) END ` +
    `FROM ${TABLE} WHERE ${counts})`;
  return { observed, broken: `${counts} AND NOT (${kept})`, wanted, minimum: 1, maximum: 1, isShare: true };
}

function range(given: JsonObject, fail: Fail): { readonly minimum?: number; readonly maximum?: number } {
  onlyKeys(given, ['minimum', 'maximum'], fail);
  const ends = Object.entries(given);
  if (ends.length === 0) fail("give 'minimum', 'maximum' or both");
  if (!ends.every(([, end]) => typeof end === 'number')) fail("'minimum' and 'maximum' must be numbers");
  const numbers = Object.fromEntries(ends) as { readonly minimum?: number; readonly maximum?: number };
  if ((numbers.minimum ?? -Infinity) > (numbers.maximum ?? Infinity)) fail("'minimum' is above 'maximum'");
  return numbers;
}

function rangeText(minimum: number | undefined, maximum: number | undefined): string {
  if (maximum === undefined || maximum === Infinity) return `at least ${minimum ?? 0}`;
  return minimum === undefined ? `at most ${maximum}` : `${minimum} to ${maximum}`;
}

function onlyKeys(given: JsonObject, allowed: readonly string[], fail: Fail): void {
  const unknown = Object.keys(given).find((key) => !allowed.includes(key));
  if (unknown !== undefined)
    fail(`argument '${unknown.slice(0, 50)}' is not one of: ${allowed.join(', ') || 'none'}`);
}

function literal(column: Field, value: JsonValue, fail: Fail): string {
  if (column.shape.length > 0) fail(`column '${column.name}' holds tensors`);
  if (isNumber(column) && typeof value === 'number' && Number.isFinite(value)) return numberLiteral(value);
  if (column.type === DataType.STRING && typeof value === 'string') return textLiteral(value);
  if (column.type === DataType.BOOL && typeof value === 'boolean') return String(value);
  return fail(`a value of 'values' does not fit the type of column '${column.name}'`);
}
