import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Field, type Schema, SchemaSchema } from 'lamella/proto/lamella/data/v1/dataset';
import type { EngineInput, EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import type { StoreService, WriteVersionRequestSchema } from 'lamella/proto/lamella/data/v1/store_service';
import type { CallContext, Client, ServiceImplementation } from 'lamella/sdk';
import { encodeArrow, type RowBatch } from 'lamella/sdk/arrow';
import type { DuckDbEngine, PlanResult } from './duckdb-engine.ts';
import type { ResultColumn } from './result-reader.ts';
import type { OpenTable, Tables } from './tables.ts';

/** Parts of the service. */
export interface EngineServiceParts {
  readonly engine: DuckDbEngine;
  readonly tables: Tables;
  readonly store: Client<typeof StoreService>;
}

/** Rows a query returns when the caller does not say. */
const DEFAULT_MAX_ROWS = 100_000;

/** EngineService: runs plans, keeps results as versions. */
export function createEngineService(parts: EngineServiceParts): ServiceImplementation<typeof EngineService> {
  const { store } = parts;
  return {
    async *run({ inputs, sql, outputDataset, step, requestId }, context) {
      const tables = await openAll(parts.tables, inputs, context);
      try {
        const result = await start(parts.engine, { inputs, sql, tables, context });
        let rows = 0;
        async function* messages(): AsyncGenerator<MessageInitShape<typeof WriteVersionRequestSchema>> {
          yield {
            part: {
              case: 'header',
              value: {
                dataset: outputDataset,
                schema: schemaOf(result.columns),
                parents: tables.map(({ version }) => version.name),
                step: step ?? { name: 'sql', arguments: { sql } },
                requestId,
              },
            },
          };
          for await (const group of result.batches) {
            for (const batch of group) {
              rows += batch.rowCount;
              yield { part: { case: 'arrowIpc', value: encodeArrow(batch) } };
            }
          }
        }
        const { version } = await store.writeVersion(messages(), { context });
        yield { rows: BigInt(rows), ...(version === undefined ? {} : { version }) };
      } finally {
        for (const table of tables) table.release();
      }
    },
    async *query({ inputs, sql, maxRows }, context) {
      const tables = await openAll(parts.tables, inputs, context);
      try {
        const limit = maxRows > 0n ? Number(maxRows) : DEFAULT_MAX_ROWS;
        const limited = `SELECT * FROM (${sql.trim().replace(/;\s*$/, '')}) LIMIT ${limit}`;
        const result = await start(parts.engine, { inputs, sql: limited, tables, context });
        let isEmpty = true;
        for await (const group of result.batches) {
          for (const batch of group) {
            isEmpty = false;
            yield { arrowIpc: encodeArrow(batch) };
          }
        }
        // Even an empty result has columns.
        if (isEmpty) yield { arrowIpc: encodeArrow(emptyBatch(result.columns)) };
      } finally {
        for (const table of tables) table.release();
      }
    },
    describe: async ({ inputs, sql }, context) => {
      const tables = await openAll(parts.tables, inputs, context);
      try {
        const limited = `SELECT * FROM (${sql.trim().replace(/;\s*$/, '')}) LIMIT 0`;
        const result = await start(parts.engine, { inputs, sql: limited, tables, context });
        for await (const _group of result.batches);
        return { schema: schemaOf(result.columns) };
      } finally {
        for (const table of tables) table.release();
      }
    },
  };
}

async function openAll(
  tables: Tables,
  inputs: readonly EngineInput[],
  context: CallContext,
): Promise<OpenTable[]> {
  const opened: OpenTable[] = [];
  try {
    for (const { version } of inputs) opened.push(await tables.open(version, context));
    return opened;
  } catch (error) {
    for (const table of opened) table.release();
    throw error;
  }
}

interface Start {
  readonly inputs: readonly EngineInput[];
  readonly sql: string;
  readonly tables: readonly OpenTable[];
  readonly context: CallContext;
}

function start(engine: DuckDbEngine, { inputs, sql, tables, context }: Start): Promise<PlanResult> {
  const fields = tables.flatMap(({ version }) => version.schema?.fields ?? []);
  return engine.run({
    sql,
    tables: new Map(inputs.map(({ alias }, index) => [alias, tables[index]?.table ?? ''])),
    shapes: new Map(fields.map((field: Field) => [field.name, field.shape.map(Number)])),
    signal: context.signal,
  });
}

function schemaOf(columns: readonly ResultColumn[]): MessageInitShape<typeof SchemaSchema> & Partial<Schema> {
  return {
    fields: columns.map(({ name, type, shape }) => ({ name, type, shape: shape.map(BigInt) })),
  } as MessageInitShape<typeof SchemaSchema> & Partial<Schema>;
}

function emptyBatch(columns: readonly ResultColumn[]): RowBatch {
  return {
    rowCount: 0,
    columns: columns.map(({ name, type, shape }) => ({ name, type, shape, values: new Uint8Array() })),
  };
}
