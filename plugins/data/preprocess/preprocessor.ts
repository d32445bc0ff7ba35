import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type DatasetVersion, type Schema, SchemaSchema } from 'lamella/proto/lamella/data/v1/dataset';
import type { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { type FittedPipeline, FittedPipelineSchema } from 'lamella/proto/lamella/data/v1/pipeline';
import type {
  FitRequest,
  TransformRequest,
  TransformResponseSchema,
} from 'lamella/proto/lamella/data/v1/preprocess_service';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { type CallContext, type Client, INPUT } from 'lamella/sdk';
import { columnNamed, type Columns, columnsOf, toField } from './column.ts';
import { PipelineInvalid } from './errors.ts';
import { onnxForm } from './onnx-form.ts';
import { fitPipeline, type Pipeline, restorePipeline } from './pipeline.ts';
import { queryRows } from './query.ts';
import { checkCondition } from './sql.ts';

/** The services that preprocessing stands on. */
export interface PreprocessorParts {
  readonly store: Client<typeof StoreService>;
  readonly engine: Client<typeof EngineService>;
}

/** Progress of a transformation. */
export type TransformAnswer = MessageInitShape<typeof TransformResponseSchema>;

/** Fits pipelines on versions and applies them. */
export class Preprocessor {
  readonly #parts: PreprocessorParts;

  constructor(parts: PreprocessorParts) {
    this.#parts = parts;
  }

  /** Lets the steps learn from a version. */
  async fit(request: FitRequest, context: CallContext): Promise<FittedPipeline> {
    const condition = request.rowFilter === '' ? '' : checkCondition(request.rowFilter);
    const version = await this.#version(request.version, context);
    const raw = columnsOf(version.schema?.fields ?? []);
    const steps = request.steps.map((step) => ({ name: step.name, arguments: step.arguments ?? {} }));
    const pipeline = await fitPipeline(steps, raw, {
      condition,
      // The name with the fingerprint, so that all steps see the same rows.
      query: (sql) => queryRows(this.#parts.engine, { version: version.name, sql }, context),
    });
    return create(FittedPipelineSchema, {
      id: pipeline.id,
      steps: pipeline.learned.map(({ name, arguments: given, state }) => ({
        step: { name, arguments: given },
        state,
      })),
      sql: pipeline.sql,
      datasetVersion: version.name,
      ...featureForm(pipeline, raw, request.featureColumns),
    });
  }

  /** Applies a fitted pipeline; the last answer holds the new version. */
  async *transform(request: TransformRequest, context: CallContext): AsyncGenerator<TransformAnswer> {
    if (request.pipeline === undefined) throw new PipelineInvalid({ detail: 'it is absent' });
    const version = await this.#version(request.version, context);
    const learned = request.pipeline.steps.map(({ step, state }) => ({
      name: step?.name ?? '',
      arguments: step?.arguments ?? {},
      state: state ?? {},
    }));
    const pipeline = await restorePipeline(learned, columnsOf(version.schema?.fields ?? []));
    const answers = this.#parts.engine.run(
      {
        inputs: [{ alias: INPUT, version: version.name }],
        sql: pipeline.sql,
        outputDataset: request.outputDataset,
        step: { name: 'preprocess', arguments: { pipeline: pipeline.id } },
        outputSchema: schemaOf(pipeline.columns),
        requestId: request.requestId,
      },
      { context },
    );
    for await (const { rows, version: written } of answers) {
      yield written === undefined ? { rows } : { rows, version: written };
    }
  }

  async #version(name: string, context: CallContext): Promise<DatasetVersion> {
    const { version } = await this.#parts.store.getVersion({ name }, { context });
    if (version === undefined)
      throw new PipelineInvalid({ detail: `the store gave no version for '${name}'` });
    return version;
  }
}

function featureForm(
  pipeline: Pipeline,
  raw: Columns,
  features: readonly string[],
): { onnx?: Uint8Array; inputSchema?: Schema; outputSchema?: Schema } {
  if (features.length === 0) return {};
  const { bytes, outputs } = onnxForm(pipeline, raw, features);
  return {
    onnx: bytes,
    inputSchema: schemaOf(raw, features),
    outputSchema: schemaOf(pipeline.columns, outputs),
  };
}

function schemaOf(columns: Columns, names: Iterable<string> = columns.keys()): Schema {
  return create(SchemaSchema, { fields: [...names].map((name) => toField(columnNamed(columns, name))) });
}
