import { elementsOf, type OrtTensor, type OrtTensors, PackedTensor } from 'lamella/sdk/ort';
import { readBytesTensor } from './bytes-tensor.ts';
import { type Datatype, datatypeOf } from './datatype.ts';
import { RequestInvalid, sizeMismatch } from './errors.ts';
import { type ModelPort, type ModelShape, reshapedDims } from './model-shape.ts';
import { typedData, type TypedValues } from './typed-values.ts';

/** One input as a request gives it, over gRPC or REST. */
export interface InferInput {
  /** Name. */
  readonly name: string;
  /** Data type as the protocol names it. */
  readonly datatype: string;
  /** Sizes of the dimensions. */
  readonly shape: readonly number[];
  /** Values: little-endian bytes, or a list. */
  readonly content: { readonly raw: Uint8Array } | { readonly values: TypedValues };
}

/** Inputs that fit the model. */
export interface Feeds {
  /** Tensors by name, for all inputs of the model. */
  readonly tensors: OrtTensors;
  /** Rows, when the model takes batches; else 1. */
  readonly rows: number;
}

/** Checks the inputs of a request against the model. @throws REQUEST_INVALID in Triton's words. */
export function readFeeds(inputs: readonly InferInput[], model: ModelShape): Feeds {
  checkNames(inputs, model);
  const tensors: Record<string, OrtTensor> = {};
  let rows: number | undefined;
  for (const input of inputs) {
    tensors[input.name] = readInput(input, model);
    if (!model.batchable) continue;
    const inputRows = input.shape[0] ?? 0;
    rows ??= inputRows;
    if (inputRows !== rows) {
      throw invalid(`input '${input.name}' batch size does not match other inputs for '${model.name}'`);
    }
  }
  return { tensors, rows: rows ?? 1 };
}

function checkNames(inputs: readonly InferInput[], model: ModelShape): void {
  const [only] = inputs;
  if (inputs.length === 1 && only !== undefined && model.inputs.size === 1 && model.inputs.has(only.name))
    return;
  const names = new Set(inputs.map(({ name }) => name));
  if (names.size !== inputs.length)
    throw invalid(`an input of the request for '${model.name}' is given twice`);
  for (const name of names) {
    if (!model.inputs.has(name)) {
      const allowed = [...model.inputs.keys()].join(', ');
      throw invalid(
        `unexpected inference input '${name}' for model '${model.name}', allowed inputs are: ${allowed}`,
      );
    }
  }
  const missing = [...model.inputs.keys()].filter((name) => !names.has(name));
  if (missing.length > 0) {
    throw invalid(
      `expected ${model.inputs.size} inputs but got ${inputs.length} inputs for model '${model.name}'; ` +
        `missing required input(s) '${missing.join("', '")}'`,
    );
  }
}

function readInput(input: InferInput, model: ModelShape): OrtTensor {
  const port = model.inputs.get(input.name);
  if (port === undefined) throw new TypeError('Names are checked first.');
  const datatype = datatypeOf(port.type);
  if (input.datatype !== datatype.name) {
    throw invalid(
      `inference input '${input.name}' data-type is '${input.datatype}', but model '${model.name}' expects ` +
        `'${datatype.name}'`,
    );
  }
  if (!shapeFits(input.shape, port.dims)) {
    throw invalid(
      `unexpected shape for input '${input.name}' for model '${model.name}'. Expected [${port.dims.join(',')}], got ` +
        `[${input.shape.join(',')}]`,
    );
  }
  return readContent(input, { datatype, dims: modelDims(input.shape, port, model), model: model.name });
}

function modelDims(shape: readonly number[], port: ModelPort, { batchable }: ModelShape): readonly number[] {
  if (port.reshape === undefined) return shape;
  const from = batchable ? port.dims.slice(1) : port.dims;
  return reshapedDims(shape, { from, to: port.reshape, batchable });
}

/** True for whole sizes that agree with those that are expected, of which -1 is any. */
export function shapeFits(shape: readonly number[], expected: readonly number[]): boolean {
  if (shape.length !== expected.length) return false;
  for (const [axis, size] of shape.entries()) {
    if (!Number.isSafeInteger(size) || size < 0 || (expected[axis] !== size && expected[axis] !== -1))
      return false;
  }
  return Number.isSafeInteger(elementsOf(shape));
}

interface Wanted {
  readonly datatype: Datatype;
  readonly dims: readonly number[];
  readonly model: string;
}

function readContent(input: InferInput, { datatype, dims, model }: Wanted): OrtTensor {
  const { content, name } = input;
  const count = elementsOf(input.shape);
  const type = datatype.element;
  if ('values' in content) {
    return { type, dims, data: typedData({ name, datatype, count, values: content.values, model }) };
  }
  if (datatype.sizeBytes === 0) {
    const texts = readBytesTensor(content.raw, name);
    if (texts.length !== count)
      throw sizeMismatch({ name, model, expected: count, got: texts.length, unit: 'elements' });
    return { type, dims, data: texts };
  }
  const expected = count * datatype.sizeBytes;
  const got = content.raw.byteLength;
  if (got !== expected) throw sizeMismatch({ name, model, expected, got, unit: 'bytes' });
  return new PackedTensor(type, dims, [content.raw]);
}

function invalid(problem: string): Error {
  return new RequestInvalid({ problem });
}
