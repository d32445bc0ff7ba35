import { DataType, type Field, type Schema } from 'lamella/proto/lamella/data/v1/dataset';
import { type Column, numericArray } from 'lamella/sdk/arrow';
import type { Rejection, SourceBatch } from './source.ts';

/** A row as it stands in a text source: column to text, number, boolean or nothing. */
export type TextRow = ReadonlyMap<string, string | number | boolean | undefined>;

/** Columns of a text source: the given ones, or guessed from its first rows. */
export function columnsOf(
  schema: Schema | undefined,
  rows: readonly TextRow[],
): readonly Pick<Field, 'name' | 'type'>[] {
  if (schema !== undefined && schema.fields.length > 0) return schema.fields;
  const names = new Set(rows.flatMap((row) => [...row.keys()]));
  return [...names].map((name) => ({ name, type: guess(rows.map((row) => row.get(name))) }));
}

function guess(values: readonly (string | number | boolean | undefined)[]): DataType {
  const present = values.filter((value) => value !== undefined);
  if (present.length === 0) return DataType.STRING;
  if (present.every((value) => typeof value === 'boolean' || value === 'true' || value === 'false'))
    return DataType.BOOL;
  if (present.every((value) => /^[+-]?\d{1,15}$/.test(String(value)))) return DataType.INT64;
  const isNumber = (value: string | number | boolean): boolean =>
    typeof value !== 'boolean' && String(value).trim() !== '' && Number.isFinite(Number(value));
  return present.every(isNumber) ? DataType.FLOAT64 : DataType.STRING;
}

interface Parsed {
  readonly values: (string | number | bigint)[];
  readonly isMissing: boolean[];
}

/** Text rows as typed columns; rows with a value that does not fit are left out and reported. */
export function toBatch(
  fields: readonly Pick<Field, 'name' | 'type'>[],
  rows: readonly TextRow[],
  firstRow: number,
): SourceBatch {
  const rejections: Rejection[] = [];
  const parsed: Parsed[] = fields.map(() => ({ values: [], isMissing: [] }));
  let rowCount = 0;
  rows.forEach((row, offset) => {
    const values = fields.map(({ name, type }) => parse(row.get(name), type));
    const bad = values.findIndex((value) => value instanceof Error);
    if (bad !== -1) {
      rejections.push({
        row: firstRow + offset,
        column: fields[bad]?.name ?? '',
        reason: (values[bad] as Error).message,
      });
      return;
    }
    values.forEach((value, index) => {
      parsed[index]?.isMissing.push(value === undefined);
      parsed[index]?.values.push(
        value === undefined ? zero(fields[index]?.type) : (value as string | number | bigint),
      );
    });
    rowCount += 1;
  });
  const columns = fields.map((field, index): Column => toColumn(field, parsed[index], rowCount));
  return { rowCount, columns, rejections };
}

function toColumn(
  { name, type }: Pick<Field, 'name' | 'type'>,
  parsed: Parsed | undefined,
  rowCount: number,
): Column {
  const numbers = numericArray(type, rowCount);
  if (numbers !== undefined) parsed?.values.forEach((value, row) => void (numbers[row] = value as never));
  const isMissing = parsed?.isMissing ?? [];
  const valid = isMissing.includes(true)
    ? Uint8Array.from(isMissing, (missing) => (missing ? 0 : 1))
    : undefined;
  return { name, type, shape: [], values: numbers ?? parsed?.values.map(String) ?? [], valid };
}

function zero(type: DataType | undefined): string | number | bigint {
  if (type === DataType.INT64 || type === DataType.UINT64 || type === DataType.TIMESTAMP) return 0n;
  return type === DataType.STRING || type === DataType.BINARY ? '' : 0;
}

const INTEGER_RANGES: ReadonlyMap<DataType, readonly [bigint, bigint]> = new Map<
  DataType,
  readonly [bigint, bigint]
>([
  [DataType.INT8, [-(2n ** 7n), 2n ** 7n - 1n]],
  [DataType.INT16, [-(2n ** 15n), 2n ** 15n - 1n]],
  [DataType.INT32, [-(2n ** 31n), 2n ** 31n - 1n]],
  [DataType.INT64, [-(2n ** 63n), 2n ** 63n - 1n]],
  [DataType.UINT8, [0n, 2n ** 8n - 1n]],
  [DataType.UINT16, [0n, 2n ** 16n - 1n]],
  [DataType.UINT32, [0n, 2n ** 32n - 1n]],
  [DataType.UINT64, [0n, 2n ** 64n - 1n]],
]);

/** A value of the column's type, nothing for a missing one, or the reason why it is none. */
function parse(
  value: string | number | boolean | undefined,
  type: DataType,
): string | number | bigint | undefined | Error {
  if (value === undefined) return undefined;
  const text = String(value).trim();
  if (type === DataType.STRING || type === DataType.BINARY) return String(value);
  if (type === DataType.TIMESTAMP) return parseTimestamp(text);
  if (type === DataType.BOOL) return parseBoolean(text);
  const range = INTEGER_RANGES.get(type);
  if (range !== undefined) return parseInteger(text, type, range);
  const number = Number(text);
  return text === '' || Number.isNaN(number) ? new Error(`'${shown(text)}' is not a number`) : number;
}

/** Whole microseconds since the epoch, or a date that JavaScript understands, such as ISO 8601. */
function parseTimestamp(text: string): bigint | Error {
  if (/^-?\d{1,18}$/.test(text)) return BigInt(text);
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? new Error(`'${shown(text)}' is not a time`) : BigInt(timeMs) * 1_000n;
}

function parseBoolean(text: string): number | Error {
  if (text === 'true' || text === '1') return 1;
  if (text === 'false' || text === '0') return 0;
  return new Error(`'${shown(text)}' is neither true nor false`);
}

function parseInteger(
  text: string,
  type: DataType,
  [low, high]: readonly [bigint, bigint],
): number | bigint | Error {
  if (!/^[+-]?\d{1,20}$/.test(text)) return new Error(`'${shown(text)}' is not a whole number`);
  const number = BigInt(text.replace('+', ''));
  if (number < low || number > high) return new Error(`${text} is outside ${low} to ${high}`);
  return type === DataType.INT64 || type === DataType.UINT64 ? number : Number(number);
}

/** Broken values can be long. */
function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
