import type { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { type CallContext, type Client, INPUT } from 'lamella/sdk';
import { decodeArrow, type RowBatch } from 'lamella/sdk/arrow';
import type { Row } from './step.ts';

/** Runs a query over one version and reads its rows; meant for small results of plain values. */
export async function queryRows(
  engine: Client<typeof EngineService>,
  { version, sql }: { readonly version: string; readonly sql: string },
  context: CallContext,
): Promise<readonly Row[]> {
  const chunks: Uint8Array[] = [];
  const answers = engine.query({ inputs: [{ alias: INPUT, version }], sql }, { context });
  for await (const { arrowIpc } of answers) chunks.push(arrowIpc);
  return decodeArrow(Buffer.concat(chunks)).batches.flatMap(rowsOf);
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
