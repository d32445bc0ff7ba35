import { encodeModel, finishModel, GraphBuilder, type OnnxModel, type Value } from 'lamella/sdk/onnx';
import { type Columns, columnNamed, elementTypeOf } from './column.ts';
import { ColumnUnfit } from './errors.ts';
import type { Pipeline, PlacedStep } from './pipeline.ts';

/** ONNX form of a pipeline. */
export interface OnnxForm {
  readonly bytes: Uint8Array;
  /** Feature columns after the steps, in the order of the model's outputs. */
  readonly outputs: readonly string[];
}

const ML_DOMAIN = { domain: 'ai.onnx.ml', version: 2 } as const;

/**
 * Builds the model that computes features as a pipeline does: raw columns in, under their own names, features out as
 * `features` when there is one and `{column}_features` when there are several.
 *
 * @remarks A plain column is an input of shape [N], a tensor column of shape [N, ...shape]. Steps on other columns, such
 * as the label, have no place in it.
 * @throws COLUMN_UNKNOWN COLUMN_UNFIT
 */
export function onnxForm(pipeline: Pipeline, raw: Columns, features: readonly string[]): OnnxForm {
  const builder = new GraphBuilder();
  let values: ReadonlyMap<string, Value> = new Map(
    features.map((name) => [name, builder.input(name, inputType(raw, name))]),
  );
  for (const step of pipeline.steps) values = applyStep(builder, values, step);
  for (const [name, value] of values)
    builder.output(values.size === 1 ? 'features' : `${name}_features`, value);
  return {
    bytes: encodeModel(withDomains(finishModel(builder.finish('preprocess')))),
    outputs: [...values.keys()],
  };
}

function inputType(raw: Columns, name: string): { type: number; shape: (number | string)[] } {
  const column = columnNamed(raw, name);
  const type = elementTypeOf(column.type);
  if (type === undefined) {
    throw new ColumnUnfit({ step: 'fit', column: name, detail: 'ONNX has no type for its values' });
  }
  return { type, shape: ['N', ...column.shape] };
}

function applyStep(
  builder: GraphBuilder,
  values: ReadonlyMap<string, Value>,
  { name, reads, applied }: PlacedStep,
): ReadonlyMap<string, Value> {
  const inputs = reads.map((column) => values.get(column)).filter((value) => value !== undefined);
  if (inputs.length === 0) return values;
  if (inputs.length < reads.length) {
    const foreign = reads.find((column) => !values.has(column)) ?? '';
    throw new ColumnUnfit({
      step: name,
      column: foreign,
      detail: 'it is joined with feature columns but is none itself; add it to feature_columns',
    });
  }
  const removes = applied.removes ?? [];
  const kept = [...values].filter(([column]) => !removes.includes(column));
  return new Map(kept).set(applied.column.name, applied.onnx(builder, inputs));
}

function withDomains(model: OnnxModel): OnnxModel {
  const usesMl = model.graph.nodes.some(({ domain }) => domain === ML_DOMAIN.domain);
  return usesMl ? { ...model, opsetImports: [...model.opsetImports, ML_DOMAIN] } : model;
}
