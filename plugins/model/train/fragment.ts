import {
  decodeModel,
  ElementType,
  encodeModel,
  finishModel,
  GraphBuilder,
  intAttribute,
  modelInputs,
  type ModelPort,
  modelOutputs,
  type OnnxModel,
} from 'lamella/sdk/onnx';
import { openSession, type OrtElementType, type OrtTensor } from 'lamella/sdk/ort';
import { PipelineUnfit } from './errors.ts';
import { checkSize, type RawNumbers, type TrainingRows } from './rows.ts';

const BATCH_ROWS = 1024;

/** Features of all training rows. */
export interface Features {
  /** Shape of one row. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The preparation in front of a model: a graph from the raw column to float features. */
export interface Fragment {
  readonly model: OnnxModel;
  readonly input: ModelPort;
}

const ONNX_TYPES: ReadonlyMap<OrtElementType, number> = new Map([
  ['float32', ElementType.FLOAT],
  ['float64', ElementType.DOUBLE],
  ['uint8', ElementType.UINT8],
  ['int8', ElementType.INT8],
  ['uint16', ElementType.UINT16],
  ['int16', ElementType.INT16],
  ['int32', ElementType.INT32],
  ['int64', ElementType.INT64],
  ['uint32', ElementType.UINT32],
  ['uint64', ElementType.UINT64],
]);

/** The fragment that only makes floats of a raw column. */
export function castFragment(column: string, type: OrtElementType, shape: readonly number[]): Fragment {
  const builder = new GraphBuilder();
  const elementType = ONNX_TYPES.get(type) ?? ElementType.FLOAT;
  const input = builder.input(column, { type: elementType, shape: ['N', ...shape] });
  builder.output('features', builder.apply('Cast', [input], { to: intAttribute(ElementType.FLOAT) }));
  return checked(finishModel(builder.finish('cast')));
}

/** The fragment of a fitted pipeline. @throws PIPELINE_UNFIT MODEL_MALFORMED */
export function pipelineFragment(bytes: Uint8Array): Fragment {
  return checked(decodeModel(bytes));
}

function checked(model: OnnxModel): Fragment {
  const inputs = modelInputs(model);
  const outputs = modelOutputs(model);
  const [input] = inputs;
  const [output] = outputs;
  if (input === undefined || output === undefined || inputs.length + outputs.length !== 2) {
    throw new PipelineUnfit({
      detail: `it has ${inputs.length} inputs and ${outputs.length} outputs instead of one each`,
    });
  }
  if (output.type !== ElementType.FLOAT) {
    throw new PipelineUnfit({ detail: 'its output does not hold floats' });
  }
  return { model, input };
}

/**
 * Runs the fragment over all rows, with the runtime that will serve it, so that both see the same numbers.
 *
 * @throws PIPELINE_UNFIT DATASET_TOO_LARGE
 */
export async function prepareFeatures(
  fragment: Fragment,
  rows: TrainingRows,
  options: { readonly shape: readonly number[]; readonly limitMib: number; readonly signal: AbortSignal },
): Promise<Features> {
  const { input } = fragment;
  if (input.type !== ONNX_TYPES.get(rows.type)) {
    throw new PipelineUnfit({ detail: `its input '${input.name}' does not take ${rows.type}` });
  }
  await using session = await openSession({ model: encodeModel(fragment.model) }, { signal: options.signal });
  const width = options.shape.reduce((product, size) => product * size, 1);
  const pieces: Float32Array[] = [];
  let shape: readonly number[] = [];
  for (let start = 0; start < rows.count; start += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, rows.count - start);
    const data = rows.features.subarray(start * width, (start + count) * width);
    const feeds = {
      [input.name]: { type: rows.type, dims: [count, ...options.shape], data: data as RawNumbers },
    };
    const [output] = Object.values(await session.run(feeds, { signal: options.signal }));
    pieces.push(floatRows(output, count));
    shape = output?.dims.slice(1) ?? [];
    checkSize(rows.count * shape.reduce((product, size) => product * size, 4), options.limitMib);
  }
  return { shape: shape.length === 0 ? [1] : shape, values: joined(pieces) };
}

function floatRows(output: OrtTensor | undefined, count: number): Float32Array {
  if (output === undefined || !(output.data instanceof Float32Array) || output.dims[0] !== count) {
    throw new PipelineUnfit({ detail: 'it does not give one row of floats for each row it takes' });
  }
  return output.data;
}

function joined(pieces: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    result.set(piece, offset);
    offset += piece.length;
  }
  return result;
}
