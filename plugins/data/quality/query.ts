import type { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import type { CallContext, Client } from 'lamella/sdk';
import { decodeArrow, type RowBatch } from 'lamella/sdk/arrow';

/** A row of a query result, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** Runs a query and gives its rows. */
export type RunQuery = (sql: string) => Promise<readonly Row[]>;

/** A way to query versions under their aliases; meant for small results of plain values. */
export function queryOver(
  engine: Client<typeof EngineService>,
  inputs: readonly { readonly alias: string; readonly version: string }[],
  context: CallContext,
): RunQuery {
  return async (sql) => {
    const chunks: Uint8Array[] = [];
    for await (const { arrowIpc } of engine.query({ inputs: [...inputs], sql }, { context }))
      chunks.push(arrowIpc);
    return decodeArrow(Buffer.concat(chunks)).batches.flatMap(rowsOf);
  };
}

/** A number of a row; 0 when it is missing. */
export function numberOf(row: Row | undefined, name: string): number {
  return optionalNumber(row, name) ?? 0;
}

/** A number of a row; `undefined` when it is missing or not finite. */
export function optionalNumber(row: Row | undefined, name: string): number | undefined {
  const value = row?.[name];
  const number = typeof value === 'bigint' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

function rowsOf({ rowCount, columns }: RowBatch): Row[] {
  return Array.from({ length: rowCount }, (_, row) => {
    const entries = columns.map(({ name, values, valid }) => [
      name,
      valid?.[row] === 0 ? undefined : values[row],
    ]);
    return Object.fromEntries(entries) as Row;
  });
}
