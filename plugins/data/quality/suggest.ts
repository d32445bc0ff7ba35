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
  const size = rule('row_count', { given: { minimum: Math.max(1, Math.floor(rows / 2)) } });
  const found = profile.columns.flatMap((figures) => {
    const column = columns.get(figures.column);
    return column === undefined ? [] : rulesOf(figures, column, rows);
  });
  return [size, ...found];
}

function rulesOf(figures: ColumnProfile, column: Field, rows: number): readonly Rule[] {
  const { column: name, nullCount } = figures;
  const complete = nullCount === 0n ? [rule('is_complete', { column: name, level: RuleLevel.ERROR })] : [];
  const content = column.shape.length > 0 ? undefined : contentRule(figures, column, rows);
  return content === undefined ? complete : [...complete, content];
}

/** What the values themselves keep: being a key, a category or a number in a range. */
function contentRule(figures: ColumnProfile, column: Field, rows: number): Rule | undefined {
  const distinct = Number(figures.distinctCount);
  const isDiscrete = column.type === DataType.STRING || (isPlainNumber(column) && !isFloat(column));
  if (isDiscrete && distinct === rows && rows > 1) return rule('unique', { column: column.name });
  const isCategory = distinct > 0 && distinct <= MAX_CATEGORIES && distinct * ROWS_PER_CATEGORY <= rows;
  return isDiscrete && isCategory ? setRule(figures, column) : rangeRule(figures);
}

function setRule({ topValues }: ColumnProfile, column: Field): Rule {
  const texts = topValues.map(({ value }) => value);
  const values = column.type === DataType.STRING ? texts : texts.map(Number).toSorted((a, b) => a - b);
  return rule('in_set', { column: column.name, given: { values } });
}

function rangeRule({ column, minimum, maximum }: ColumnProfile): Rule | undefined {
  if (minimum === undefined || maximum === undefined) return undefined;
  return rule('in_range', { column, given: { minimum, maximum } });
}

function isFloat(column: Field): boolean {
  return column.type === DataType.FLOAT32 || column.type === DataType.FLOAT64;
}

interface RuleParts {
  readonly column?: string;
  readonly given?: JsonObject;
  readonly level?: RuleLevel;
}

function rule(kind: string, { column = '', given = {}, level = RuleLevel.WARNING }: RuleParts): Rule {
  return create(RuleSchema, { kind, column, arguments: given, level });
}
