import type { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import type { CallContext, Client } from 'lamella/sdk';
import { INPUT } from './sql.ts';
import type { Row } from './row.ts';

/** Runs a query over one version and reads its rows; meant for small results. */
export async function queryRows(
  engine: Client<typeof EngineService>,
  { version, sql }: { readonly version: string; readonly sql: string },
  context: CallContext,
): Promise<readonly Row[]> {
  const chunks: Uint8Array[] = [];
  const answers = engine.query({ inputs: [{ alias: INPUT, version }], sql }, { context });
  for await (const { arrowIpc } of answers) chunks.push(arrowIpc);
  // Loaded when first used: Arrow takes longer to load than the rest of the plugin.
  const { tableFromIPC } = await import('apache-arrow');
  return tableFromIPC(Buffer.concat(chunks))
    .toArray()
    .map((row: { toJSON(): Row }) => row.toJSON());
}
