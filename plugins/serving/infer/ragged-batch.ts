import {
  elementsOf,
  type OrtElementType,
  type OrtPort,
  type OrtTensor,
  type OrtTensors,
  PackedTensor,
  piecesOf,
} from 'lamella/sdk/ort';
import {
  type BatchInput,
  BatchInput_Kind as Kind,
  type ModelConfig,
} from 'lamella/proto/inference/model_config';
import { type BatchLayout, batchKey, hasRows, joinRows, splitRows } from './batch.ts';
import { datatypeOfConfig } from './datatype.ts';
import { ModelLoadFailed } from './errors.ts';

/** An input that the server makes of the shapes of all requests of a run. */
interface MadeInput {
  readonly name: string;
  readonly make: (sources: readonly OrtTensor[]) => OrtTensor;
}

interface RaggedParts {
  /** Inputs that are joined end to end, whatever their shapes. */
  readonly ragged: ReadonlySet<string>;
  readonly made: readonly (MadeInput & { readonly source: string })[];
  /** Name of the input whose shapes take an output apart, by that of the output. */
  readonly scattered: ReadonlyMap<string, string>;
}

/** Types that a made input may have: Triton's, and INT64. */
const MADE_TYPES: readonly OrtElementType[] = ['int32', 'int64', 'float32'];

/**
 * Reads `allow_ragged_batch`, `batch_input` and `batch_output`; `undefined` for a model that has none of them.
 *
 * @throws MODEL_LOAD_FAILED where they do not fit the graph
 */
export function readRaggedBatch(
  config: ModelConfig,
  graph: { readonly inputs: readonly OrtPort[] },
): RaggedBatch | undefined {
  const { name: model, input, batchInput, batchOutput } = config;
  const ragged = new Set(input.filter(({ allowRaggedBatch }) => allowRaggedBatch).map(({ name }) => name));
  if (ragged.size + batchInput.length + batchOutput.length === 0) return undefined;
  const fail = (problem: string): Error => new ModelLoadFailed({ model, problem });
  if (config.maxBatchSize < 1) throw fail('ragged batches need a max_batch_size above 0');
  const sourceOf = (sources: readonly string[], what: string): string => {
    const [source, ...rest] = sources;
    if (source !== undefined && rest.length === 0 && input.some(({ name }) => name === source)) return source;
    throw fail(`${what} needs one source_input, which must be an input of the model`);
  };
  const made = batchInput.flatMap((one) =>
    one.targetName.map((name) => {
      const source = sourceOf(one.sourceInput, `batch_input '${name}'`);
      return { name, source, make: makerOf(one, portOf(graph.inputs, name, fail), fail) };
    }),
  );
  const scattered = batchOutput.flatMap(({ targetName, sourceInput }) =>
    targetName.map((name): [string, string] => [name, sourceOf(sourceInput, `batch_output '${name}'`)]),
  );
  return new RaggedBatch({ ragged, made, scattered: new Map(scattered) });
}

function portOf(ports: readonly OrtPort[], name: string, fail: (problem: string) => Error): OrtPort {
  const port = ports.find((one) => one.name === name);
  if (port === undefined) throw fail(`batch_input names an input '${name}' that the file does not have`);
  return port;
}

function makerOf(
  { kind, dataType }: BatchInput,
  { name, type, dims }: OrtPort,
  fail: (problem: string) => Error,
): MadeInput['make'] {
  if (!MADE_TYPES.includes(type) || datatypeOfConfig(dataType).element !== type) {
    throw fail(`batch_input '${name}' must be INT32, INT64 or FP32, the same in data_type and in the file`);
  }
  const rank = kind === Kind.BATCH_ITEM_SHAPE ? 2 : 1;
  if (dims.length !== rank || dims[0] !== -1) {
    throw fail(`batch_input '${name}' must have ${rank} dimensions in the file, of which the first varies`);
  }
  return (sources) => made(kind, type, sources);
}

function made(kind: Kind, type: OrtElementType, sources: readonly OrtTensor[]): OrtTensor {
  const counts = sources.map(({ dims }) => elementsOf(dims));
  const list = (values: readonly number[]): OrtTensor => ({
    type,
    dims: [values.length],
    data: numbers(type, values),
  });
  let sum = 0;
  switch (kind) {
    case Kind.BATCH_ELEMENT_COUNT:
      return list(counts);
    case Kind.BATCH_ACCUMULATED_ELEMENT_COUNT:
      return list(counts.map((count) => (sum += count)));
    case Kind.BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO:
      return list([0, ...counts.map((count) => (sum += count))]);
    case Kind.BATCH_MAX_ELEMENT_COUNT_AS_SHAPE:
      // Only its shape says something.
      return list(Array.from({ length: Math.max(...counts) }, () => 0));
    default: {
      const shapes = sources.flatMap(({ dims: [rows = 1, ...rest] }) =>
        Array.from({ length: rows }, () => rest),
      );
      const all = list(shapes.flat());
      return kind === Kind.BATCH_ITEM_SHAPE ? { ...all, dims: [shapes.length, shapes[0]?.length ?? 0] } : all;
    }
  }
}

function numbers(type: OrtElementType, values: readonly number[]): OrtTensor['data'] {
  if (type === 'int64') return BigInt64Array.from(values.map(BigInt));
  return type === 'int32' ? Int32Array.from(values) : Float32Array.from(values);
}

/** Joins requests whose shapes differ, as Triton's ragged batches do: end to end, with inputs that say where each begins. */
export class RaggedBatch implements BatchLayout {
  readonly #parts: RaggedParts;

  constructor(parts: RaggedParts) {
    this.#parts = parts;
  }

  /** Requests of the same text may run together: the shapes of ragged inputs do not count. */
  key(tensors: OrtTensors): string {
    return batchKey(
      Object.fromEntries(Object.entries(tensors).filter(([name]) => !this.#parts.ragged.has(name))),
    );
  }

  join(requests: readonly OrtTensors[]): OrtTensors {
    const { ragged, made: inputs } = this.#parts;
    const flat = requests.map((tensors) =>
      Object.fromEntries(
        Object.entries(tensors).map(([name, tensor]) => [
          name,
          ragged.has(name) ? flattened(tensor) : tensor,
        ]),
      ),
    );
    const joined: Record<string, OrtTensor> = { ...joinRows(flat) };
    for (const { name, source, make } of inputs) {
      joined[name] = make(requests.flatMap((tensors) => tensors[source] ?? []));
    }
    return joined;
  }

  split(
    outputs: OrtTensors,
    rows: readonly number[],
    requests: readonly OrtTensors[],
  ): OrtTensors[] | undefined {
    const { scattered } = this.#parts;
    const plain = Object.fromEntries(Object.entries(outputs).filter(([name]) => !scattered.has(name)));
    const total = rows.reduce((sum, count) => sum + count, 0);
    if (!hasRows(plain, total)) return undefined;
    const parts = splitRows(plain, rows);
    for (const [name, source] of scattered) {
      const tensor = outputs[name];
      if (tensor === undefined) continue;
      const shapes = requests.map((tensors) => tensors[source]?.dims ?? []);
      const counts = shapes.map(elementsOf);
      if (elementsOf(tensor.dims) !== counts.reduce((sum, count) => sum + count, 0)) return undefined;
      const pieces = splitRows({ [name]: { ...tensor, dims: [elementsOf(tensor.dims)] } }, counts);
      for (const [index, part] of parts.entries()) {
        const piece = pieces[index]?.[name];
        if (piece !== undefined) parts[index] = { ...part, [name]: { ...piece, dims: shapes[index] ?? [] } };
      }
    }
    return parts;
  }
}

function flattened(tensor: OrtTensor): OrtTensor {
  const { type, dims } = tensor;
  const pieces = piecesOf(tensor);
  const flat = [elementsOf(dims)];
  return pieces === undefined
    ? { type, dims: flat, data: tensor.data }
    : new PackedTensor(type, flat, pieces);
}
