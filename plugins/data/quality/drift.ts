import { identifier, numberLiteral, textLiteral } from 'lamella/sdk';
import { create } from '@bufbuild/protobuf';
import type { Field } from 'lamella/proto/lamella/data/v1/dataset';
import { type ColumnDrift, ColumnDriftSchema } from 'lamella/proto/lamella/data/v1/quality_service';
import { isPlainNumber, isPresent } from './column.ts';
import { numberOf, optionalNumber, type Row, type RunQuery } from './query.ts';

/** Aliases of the two versions. */
export const REFERENCE = 'reference';
/** Alias of the version in question. */
export const CURRENT = 'current';

const BINS = 10;
const MAX_CATEGORIES = 50;
/** Stands in for an empty bin, whose logarithm would be infinite. */
const LEAST_SHARE = 0.0001;

/**
 * Compares the distribution of one column in two versions.
 *
 * @remarks The population stability index sums (c - r) ln(c / r) over bins: tenths of the reference for numbers, its 50
 * most frequent values and the rest for others.
 */
export async function driftOf(column: Field, threshold: number, query: RunQuery): Promise<ColumnDrift> {
  const bin = isPlainNumber(column) ? await numberBin(column, query) : await categoryBin(column, query);
  const rows = await query(`${counts(column, bin, REFERENCE)} UNION ALL ${counts(column, bin, CURRENT)}`);
  const stabilityIndex = stability(rows);
  const distance = isPlainNumber(column) ? await distanceOf(column, query) : 0;
  return create(ColumnDriftSchema, {
    column: column.name,
    stabilityIndex,
    distance,
    drifted: stabilityIndex >= threshold,
  });
}

async function numberBin(column: Field, query: RunQuery): Promise<string> {
  const name = `CAST(${identifier(column.name)} AS DOUBLE)`;
  const edges = Array.from({ length: BINS - 1 }, (_, index) => index + 1);
  const items = edges.map((edge) => `quantile_disc(${name}, ${edge / BINS}) AS edge${edge}`);
  const [row] = await query(`SELECT ${items.join(', ')} FROM ${REFERENCE} WHERE ${isPresent(column)}`);
  const values = [...new Set(edges.map((edge) => optionalNumber(row, `edge${edge}`)))].filter(
    (edge) => edge !== undefined,
  );
  const cases = values.map((edge, index) => `WHEN ${name} <= ${numberLiteral(edge)} THEN '${index}'`);
  return cases.length === 0 ? "'0'" : `CASE ${cases.join(' ')} ELSE 'above' END`;
}

async function categoryBin(column: Field, query: RunQuery): Promise<string> {
  const name = `CAST(${identifier(column.name)} AS VARCHAR)`;
  const rows = await query(
    `SELECT ${name} AS value, count(*) AS n FROM ${REFERENCE} WHERE ${isPresent(column)} ` +
      `GROUP BY value ORDER BY n DESC, value LIMIT ${MAX_CATEGORIES}`,
  );
  const cases = rows.map(
    (row, index) => `WHEN ${name} = ${textLiteral(String(row['value']))} THEN '${index}'`,
  );
  return cases.length === 0 ? "'0'" : `CASE ${cases.join(' ')} ELSE 'other' END`;
}

function counts(column: Field, bin: string, side: string): string {
  return (
    `SELECT '${side}' AS side, ${bin} AS bin, CAST(count(*) AS DOUBLE) AS n ` +
    `FROM ${side} WHERE ${isPresent(column)} GROUP BY bin`
  );
}

function stability(rows: readonly Row[]): number {
  const of = (side: string): readonly Row[] => rows.filter((row) => row['side'] === side);
  const total = (side: string): number => of(side).reduce((sum, row) => sum + numberOf(row, 'n'), 0);
  const totals = { reference: total(REFERENCE), current: total(CURRENT) };
  if (totals.reference === 0 || totals.current === 0) return totals.reference === totals.current ? 0 : 1;
  const share = (side: string, bin: unknown, all: number): number =>
    Math.max(
      numberOf(
        of(side).find((row) => row['bin'] === bin),
        'n',
      ) / all,
      LEAST_SHARE,
    );
  const bins = new Set(rows.map((row) => row['bin']));
  return [...bins].reduce<number>((sum, bin) => {
    const [before, now] = [share(REFERENCE, bin, totals.reference), share(CURRENT, bin, totals.current)];
    return sum + (now - before) * Math.log(now / before);
  }, 0);
}

/** Kolmogorov-Smirnov distance: the greatest difference of the two distribution functions. */
async function distanceOf(column: Field, query: RunQuery): Promise<number> {
  const name = `CAST(${identifier(column.name)} AS DOUBLE)`;
  const side = (table: string, r: number, c: number): string =>
    `SELECT ${name} AS v, ${r} AS r, ${c} AS c FROM ${table} WHERE ${isPresent(column)}`;
  const [row] = await query(
    `WITH pooled AS (${side(REFERENCE, 1, 0)} UNION ALL ${side(CURRENT, 0, 1)}), ` +
      'steps AS (SELECT v, sum(r) AS r, sum(c) AS c FROM pooled GROUP BY v), ' +
      'sums AS (SELECT sum(r) OVER (ORDER BY v) AS r, sum(c) OVER (ORDER BY v) AS c FROM steps) ' +
      'SELECT CAST(coalesce(max(abs(r / nullif((SELECT sum(r) FROM pooled), 0) - ' +
      'c / nullif((SELECT sum(c) FROM pooled), 0))), 0) AS DOUBLE) AS distance FROM sums',
  );
  return numberOf(row, 'distance');
}
