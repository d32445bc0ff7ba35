import { type OrtElementType, type OrtPort, type OrtSession, openSession } from 'lamella/sdk/ort';
import { ModelUnfit } from './errors.ts';

/** Typed arrays that hold numbers or whole numbers of 64 bits. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

const ARRAYS: Readonly<Partial<Record<OrtElementType, new (length: number) => NumberArray>>> = {
  float32: Float32Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** How far the probabilities of a row may be from 1 together. */
const SUM_TOLERANCE = 0.01;

/** A model that gives class probabilities, running in a process of its own. */
export class Classifier {
  readonly #session: OrtSession;
  readonly #output: OrtPort;
  /** Its one input. */
  readonly input: OrtPort;

  private constructor(session: OrtSession, ports: { readonly input: OrtPort; readonly output: OrtPort }) {
    this.#session = session;
    this.input = ports.input;
    this.#output = ports.output;
  }

  /** Opens a model. @throws MODEL_UNFIT ORT_MODEL_REJECTED */
  static async open(model: Uint8Array, signal: AbortSignal): Promise<Classifier> {
    const session = await openSession({ model }, { signal });
    try {
      return new Classifier(session, { input: onlyInput(session), output: probabilityOutput(session) });
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** Number of classes that the model says it knows; `undefined` when it leaves that open. */
  get classes(): number | undefined {
    const last = this.#output.dims.at(-1);
    return last === undefined || last < 1 ? undefined : last;
  }

  /** Makes room for rows of raw values as the model takes them. @throws MODEL_UNFIT */
  newInput(rows: number, width: number): NumberArray {
    const ArrayType = ARRAYS[this.input.type];
    if (ArrayType === undefined) throw new ModelUnfit({ detail: `its input holds ${this.input.type}` });
    return new ArrayType(rows * width);
  }

  /** Probabilities of each row. @throws MODEL_UNFIT */
  async probabilities(values: NumberArray, rows: number): Promise<Float32Array> {
    const { name, type } = this.input;
    const dims = this.#dims(rows, values.length / rows);
    const outputs = await this.#session.run({ [name]: { type, dims, data: values } });
    const tensor = outputs[this.#output.name];
    if (tensor === undefined || !(tensor.data instanceof Float32Array) || tensor.dims[0] !== rows) {
      throw new ModelUnfit({
        detail: `output '${this.#output.name}' does not have a row for each row of the input`,
      });
    }
    checkSum(tensor.data.subarray(0, tensor.data.length / rows));
    return tensor.data;
  }

  /** Ends the process. */
  async close(): Promise<void> {
    await this.#session.close();
  }

  #dims(rows: number, width: number): readonly number[] {
    const [batch = rows, ...rest] = this.input.dims;
    const known = rest.reduce((product, size) => (size > 0 ? product * size : product), 1);
    const open = rest.filter((size) => size < 1).length;
    const fits = open === 0 ? known === width : open === 1 && width % known === 0;
    if (!fits || (batch > 0 && batch !== rows)) {
      const shape = this.input.dims.join(',');
      throw new ModelUnfit({
        detail: `its input has shape [${shape}], ${rows} rows of ${width} values do not fit`,
      });
    }
    return [rows, ...rest.map((size) => (size > 0 ? size : width / known))];
  }
}

function onlyInput({ inputs }: OrtSession): OrtPort {
  const [input, ...others] = inputs;
  if (input === undefined || others.length > 0)
    throw new ModelUnfit({ detail: `it has ${inputs.length} inputs` });
  return input;
}

function probabilityOutput({ outputs }: OrtSession): OrtPort {
  const fitting = outputs.filter(({ type, dims }) => type === 'float32' && dims.length === 2);
  const output = fitting.find(({ name }) => name === 'probabilities') ?? fitting[0];
  if (output === undefined) throw new ModelUnfit({ detail: 'no output holds FP32 of shape [N, classes]' });
  return output;
}

function checkSum(probabilities: Float32Array): void {
  let sum = 0;
  for (const probability of probabilities) sum += probability;
  if (!(Math.abs(sum - 1) <= SUM_TOLERANCE)) {
    throw new ModelUnfit({ detail: `the outputs of a row sum up to ${sum.toFixed(3)}, not to 1` });
  }
}
