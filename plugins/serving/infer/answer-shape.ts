import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import { classify, type WantedOutput } from './classification.ts';
import { type ModelPort, type ModelShape, reshapedDims } from './model-shape.ts';

/** Names of classes by output, each at the place of its index. */
export type ClassNames = ReadonlyMap<string, readonly string[]>;

/** Turns what a model gives into what a request asks for. */
export class AnswerShape {
  readonly #shape: ModelShape;
  readonly #classNames: ClassNames;
  readonly #allOutputs: readonly WantedOutput[];
  readonly #reshapes: boolean;

  constructor(shape: ModelShape, classNames: ClassNames) {
    this.#shape = shape;
    this.#classNames = classNames;
    this.#allOutputs = [...shape.outputs.keys()].map((name) => ({ name }));
    this.#reshapes = [...shape.outputs.values()].some(({ reshape }) => reshape !== undefined);
  }

  /** The outputs that are wanted, or all, in the shape that callers see. @throws REQUEST_INVALID */
  pick(outputs: OrtTensors, wanted: readonly WantedOutput[]): OrtTensors {
    if (wanted.length === 0 && !this.#reshapes) return outputs;
    const picked: Record<string, OrtTensor> = {};
    const names = wanted.length === 0 ? this.#allOutputs : wanted;
    for (const { name, classes } of names) {
      const tensor = outputs[name];
      const port = this.#shape.outputs.get(name);
      if (tensor === undefined || port === undefined) continue;
      const shown = this.#reshaped(tensor, port);
      picked[name] =
        classes === undefined
          ? shown
          : classify(name, shown, {
              classes,
              isBatched: this.#shape.batchable,
              classNames: this.#classNames.get(name),
            });
    }
    return picked;
  }

  #reshaped(tensor: OrtTensor, port: ModelPort): OrtTensor {
    if (port.reshape === undefined) return tensor;
    const { batchable } = this.#shape;
    const to = batchable ? port.dims.slice(1) : port.dims;
    return { ...tensor, dims: reshapedDims(tensor.dims, { from: port.reshape, to, batchable }) };
  }
}
