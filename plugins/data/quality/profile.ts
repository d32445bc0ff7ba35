import { identifier, INPUT } from 'lamella/sdk';
import { create } from '@bufbuild/protobuf';
import type { Field } from 'lamella/proto/lamella/data/v1/dataset';
import {
  type ColumnProfile,
  ColumnProfileSchema,
  type ProfileResponse,
  ProfileResponseSchema,
  type ValueCount,
  ValueCountSchema,
} from 'lamella/proto/lamella/data/v1/quality_service';
import { isPlainNumber, isPresent, isReadable } from './column.ts';
import { numberOf, optionalNumber, type Row, type RunQuery } from './query.ts';

const EXACT_ROWS = 1_000_000;
const TOP_VALUES = 20;
const MAX_VALUE_CHARACTERS = 100;

const TABLE = identifier(INPUT);

/** Figures about columns: three queries, however many columns there are. */
export async function profileColumns(columns: readonly Field[], query: RunQuery): Promise<ProfileResponse> {
  const [counted] = await query(`SELECT CAST(count(*) AS DOUBLE) AS row_count FROM ${TABLE}`);
  const rowCount = numberOf(counted, 'row_count');
  if (columns.length === 0) return create(ProfileResponseSchema, { rowCount: BigInt(rowCount) });
  const items = columns.flatMap((column, index) => figures(column, index, rowCount));
  const [row] = await query(`SELECT ${items.join(', ')} FROM ${TABLE}`);
  const tops = columns.flatMap((column, index) => (isReadable(column) ? [topValues(column, index)] : []));
  const topRows = tops.length === 0 ? [] : await query(tops.map((sql) => `(${sql})`).join(' UNION ALL '));
  return create(ProfileResponseSchema, {
    rowCount: BigInt(rowCount),
    columns: columns.map((column, index) => profileOf(column, index, { row, topRows, rowCount })),
  });
}

function figures(column: Field, index: number, rowCount: number): readonly string[] {
  const name = identifier(column.name);
  const where = `FILTER (WHERE ${isPresent(column)})`;
  const distinct = rowCount > EXACT_ROWS ? `approx_count_distinct(${name})` : `count(DISTINCT ${name})`;
  const item = (sql: string, what: string): string => `CAST(${sql} AS DOUBLE) AS ${what}${index}`;
  const plain = [item(`count(*) ${where}`, 'present'), item(`${distinct} ${where}`, 'distinct')];
  if (!isPlainNumber(column)) return plain;
  return [
    ...plain,
    item(`min(${name}) ${where}`, 'minimum'),
    item(`max(${name}) ${where}`, 'maximum'),
    item(`avg(${name}) ${where}`, 'mean'),
    item(`stddev_samp(CAST(${name} AS DOUBLE)) ${where}`, 'deviation'),
  ];
}

function topValues(column: Field, index: number): string {
  const name = identifier(column.name);
  return (
    `SELECT CAST(${index} AS DOUBLE) AS place, left(CAST(${name} AS VARCHAR), ${MAX_VALUE_CHARACTERS}) AS value, ` +
    `CAST(count(*) AS DOUBLE) AS rows FROM ${TABLE} WHERE ${isPresent(column)} ` +
    `GROUP BY value ORDER BY rows DESC, value LIMIT ${TOP_VALUES}`
  );
}

function profileOf(
  column: Field,
  index: number,
  {
    row,
    topRows,
    rowCount,
  }: { readonly row: Row | undefined; readonly topRows: readonly Row[]; readonly rowCount: number },
): ColumnProfile {
  const optional = {
    minimum: optionalNumber(row, `minimum${index}`),
    maximum: optionalNumber(row, `maximum${index}`),
    mean: optionalNumber(row, `mean${index}`),
    standardDeviation: optionalNumber(row, `deviation${index}`),
  };
  const present = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return create(ColumnProfileSchema, {
    column: column.name,
    nullCount: BigInt(rowCount - numberOf(row, `present${index}`)),
    distinctCount: BigInt(numberOf(row, `distinct${index}`)),
    ...present,
    topValues: topRows.filter((top) => numberOf(top, 'place') === index).map(valueCount),
  });
}

function valueCount(row: Row): ValueCount {
  return create(ValueCountSchema, { value: String(row['value']), count: BigInt(numberOf(row, 'rows')) });
}
