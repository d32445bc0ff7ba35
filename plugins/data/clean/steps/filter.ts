import { identifier, numberLiteral, textLiteral } from 'lamella/sdk';
import type { JsonValue } from '@bufbuild/protobuf';
import { type TObject, type TString, type TUnknown, Type } from '@sinclair/typebox';
import { DataType, type Field } from 'lamella/proto/lamella/data/v1/dataset';
import { columnNamed, isMissing, isNumber } from '../column.ts';
import { StepArgumentsInvalid } from '../errors.ts';
import { type CleanStep, parseArguments } from '../step.ts';

const OPERATORS: ReadonlyMap<string, string> = new Map([
  ['=', '='],
  ['!=', '<>'],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
  ['in', 'IN'],
  ['not_in', 'NOT IN'],
  ['is_missing', ''],
  ['is_not_missing', ''],
]);

const Arguments: TObject<{ column: TString; operator: TString; value: TUnknown }> = Type.Object(
  {
    column: Type.String({ description: 'Column of plain values' }),
    operator: Type.String({ description: [...OPERATORS.keys()].join(', ') }),
    value: Type.Unknown({
      default: null,
      description:
        'What to compare with: a number, a text or a boolean as the column holds; a list for in and not_in',
    }),
  },
  { additionalProperties: false },
);

/** Keeps the rows that fulfil a condition. */
export const filter: CleanStep = {
  name: 'filter',
  description: 'Keeps the rows in which a column compares with a value as asked; missing values never do.',
  argumentsSchema: Arguments,
  plan: (given, columns) => {
    const { column: name, operator, value } = parseArguments('filter', Arguments, given);
    const column = columnNamed(columns, name);
    if (operator === 'is_missing') return { keep: isMissing(column) };
    if (operator === 'is_not_missing') return { keep: `NOT ${isMissing(column)}` };
    const sql = OPERATORS.get(operator);
    if (sql === undefined)
      fail(`operator '${operator.slice(0, 20)}' is not one of ${[...OPERATORS.keys()].join(', ')}`);
    if (column.shape.length > 0) fail(`column '${name}' holds tensors, which do not compare`);
    const isList = sql?.endsWith('IN') === true;
    const right = isList ? listLiteral(column, value as JsonValue) : literal(column, value as JsonValue);
    return { keep: `${identifier(name)} ${sql} ${right}` };
  },
};

function listLiteral(column: Field, value: JsonValue): string {
  if (!Array.isArray(value) || value.length === 0 || value.length > 10_000) {
    return fail("'value' must be a list of 1 to 10,000 values");
  }
  return `(${value.map((item) => literal(column, item)).join(', ')})`;
}

function literal(column: Field, value: JsonValue): string {
  if (typeof value === 'number' && Number.isFinite(value) && isNumber(column)) return numberLiteral(value);
  if (typeof value === 'boolean' && column.type === DataType.BOOL) return String(value);
  const text = typeof value === 'string' ? stringLiteral(column.type, value) : undefined;
  return text ?? fail(`'value' does not fit the type of column '${column.name}'`);
}

function stringLiteral(type: DataType, value: string): string | undefined {
  if (type === DataType.STRING) return textLiteral(value);
  const moment = type === DataType.TIMESTAMP ? Date.parse(value) : NaN;
  if (Number.isNaN(moment)) return undefined;
  return `CAST(${textLiteral(new Date(moment).toISOString().replace('Z', ''))} AS TIMESTAMP)`;
}

function fail(detail: string): never {
  throw new StepArgumentsInvalid({ step: 'filter', detail });
}
