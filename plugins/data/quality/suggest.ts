import { create, type JsonObject } from '@bufbuild/protobuf';
import { DataType, type Field } from 'lamella/proto/lamella/data/v1/dataset';
import {
  type ColumnProfile,
  type ProfileResponse,
  type Rule,
  RuleLevel,
  RuleSchema,
} from 'lamella/proto/lamella/data/v1/quality_service';
import { isPlainNumber } from './column.ts';

/** As many values as still look like categories. */
const MAX_CATEGORIES = 20;
/** Rows that each category must have on average, else few rows look like categories by chance. */
const ROWS_PER_CATEGORY = 10;

/** Rules that a profiled version keeps: errors where breaking them would break training, warnings elsewhere. */
export function suggestRules(profile: ProfileResponse, columns: ReadonlyMap<string, Field>): Rule[] {
  const rows = Number(profile.rowCount);
  if (rows === 0) return [];
  const size = rule('row_count', '', { minimum: Math.max(1, Math.floor(rows / 2)) }, RuleLevel.WARNING);
  const found = profile.columns.flatMap((figures) => {
    const column = columns.get(figures.column);
    return column === undefined ? [] : rulesOf(figures, column, rows);
  });
  return [size, ...found];
}

function rulesOf(figures: ColumnProfile, column: Field, rows: number): readonly Rule[] {
  const { column: name, nullCount, minimum, maximum } = figures;
  const distinct = Number(figures.distinctCount);
  const rules: Rule[] = [];
  if (nullCount === 0n) rules.push(rule('is_complete', name, {}, RuleLevel.ERROR));
  if (column.shape.length > 0) return rules;
  const isUnique = distinct === rows && rows > 1 && !isFloat(column);
  if (isUnique) return [...rules, rule('unique', name, {}, RuleLevel.WARNING)];
  const isCategory = distinct > 0 && distinct <= MAX_CATEGORIES && distinct * ROWS_PER_CATEGORY <= rows;
  if (isCategory && (column.type === DataType.STRING || (isPlainNumber(column) && !isFloat(column)))) {
    const texts = figures.topValues.map(({ value }) => value);
    const values = column.type === DataType.STRING ? texts : texts.map(Number).toSorted((a, b) => a - b);
    return [...rules, rule('in_set', name, { values }, RuleLevel.WARNING)];
  }
  if (minimum !== undefined && maximum !== undefined) {
    rules.push(rule('in_range', name, { minimum, maximum }, RuleLevel.WARNING));
  }
  return rules;
}

function isFloat(column: Field): boolean {
  return column.type === DataType.FLOAT32 || column.type === DataType.FLOAT64;
}

function rule(kind: string, column: string, given: JsonObject, level: RuleLevel): Rule {
  return create(RuleSchema, { kind, column, arguments: given, level });
}
