import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SchemaSchema } from 'lamella/proto/lamella/data/v1/dataset';
import { type Field, type Schema } from 'lamella/proto/lamella/data/v1/dataset';
import type {
  EngineInput,
  EngineService,
  RunRequest,
  RunResponseSchema,
} from 'lamella/proto/lamella/data/v1/engine_service';
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

/** EngineService: runs plans, keeps results as versions. */
export function createEngineService(parts: EngineServiceParts): ServiceImplementation<typeof EngineService> {
  return {
    run: (request, context) => run(parts, request, context),
    async *query({ inputs, sql, maxRows }, context) {
      // 0 means all rows; they are streamed, so nothing has to hold them.
      const limit = maxRows > 0n ? { maxRows: Math.min(Number(maxRows), Number.MAX_SAFE_INTEGER) } : {};
      yield* withTables(parts.tables, { inputs, context }, async function* (tables) {
        const result = await start(parts.engine, { inputs, sql, ...limit, tables, context });
        try {
          yield* answersOf(result);
        } finally {
          await result.close();
        }
      });
    },
    describe: async ({ inputs, sql }, context) => {
      const schemas = withTables(parts.tables, { inputs, context }, async function* (tables) {
        const result = await start(parts.engine, { inputs, sql, maxRows: 0, tables, context });
        await result.close();
        yield { schema: schemaOf(result.columns) };
      });
      for await (const answer of schemas) return answer;
      return {};
    },
  };
}

async function* run(
  { engine, tables: loaded, store }: EngineServiceParts,
  { inputs, sql, outputDataset, step, requestId, outputSchema }: RunRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof RunResponseSchema>> {
  yield* withTables(loaded, { inputs, context }, async function* (tables) {
    const wanted = outputSchema?.fields.filter(({ shape }) => shape.length > 0) ?? [];
    const result = await start(engine, { inputs, sql, wanted, tables, context });
    let rows = 0;
    async function* messages(): AsyncGenerator<MessageInitShape<typeof WriteVersionRequestSchema>> {
      const header = {
        dataset: outputDataset,
        schema: schemaOf(result.columns),
        parents: tables.map(({ version }) => version.name),
        step: step ?? { name: 'sql', arguments: { sql } },
        requestId,
      };
      yield { part: { case: 'header', value: header } };
      for await (const group of result.batches) {
        for (const batch of group) {
          rows += batch.rowCount;
          yield { part: { case: 'arrowIpc', value: encodeArrow(batch) } };
        }
      }
    }
    try {
      const { version } = await store.writeVersion(messages(), { context });
      yield { rows: BigInt(rows), ...(version === undefined ? {} : { version }) };
    } finally {
      // The store may have refused before it took all rows.
      await result.close();
    }
  });
}

async function* answersOf(result: PlanResult): AsyncGenerator<{ arrowIpc: Uint8Array }> {
  let isEmpty = true;
  for await (const group of result.batches) {
    for (const batch of group) {
      isEmpty = false;
      yield { arrowIpc: encodeArrow(batch) };
    }
  }
  // Even an empty result has columns.
  if (isEmpty) yield { arrowIpc: encodeArrow(emptyBatch(result.columns)) };
}

/** Loads the inputs, lets the work read them, and releases them however it ends. */
async function* withTables<Item>(
  loaded: Tables,
  { inputs, context }: { readonly inputs: readonly EngineInput[]; readonly context: CallContext },
  work: (tables: readonly OpenTable[]) => AsyncGenerator<Item>,
): AsyncGenerator<Item> {
  const tables = await openAll(loaded, inputs, context);
  try {
    yield* work(tables);
  } finally {
    for (const table of tables) table.release();
  }
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
  readonly maxRows?: number;
  /** Fields whose shapes the result takes, before those of the inputs. */
  readonly wanted?: readonly Field[];
  readonly tables: readonly OpenTable[];
  readonly context: CallContext;
}

function start(
  engine: DuckDbEngine,
  { inputs, sql, maxRows, wanted = [], tables, context }: Start,
): Promise<PlanResult> {
  // A shape that SQL cannot carry: the later entry of a name wins.
  const fields = [...tables.flatMap(({ version }) => version.schema?.fields ?? []), ...wanted];
  return engine.run({
    sql,
    maxRows,
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
