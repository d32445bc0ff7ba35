import {
  encodeModel,
  finishModel,
  GraphBuilder,
  type OnnxModel,
  parameterSlots,
  seededRandom,
} from 'lamella/sdk/onnx';
import { type Architecture, ARCHITECTURES, type Parameters } from './architectures.ts';
import { ArchitectureUnknown, InputUnfit, ModelTooLarge, ParameterInvalid } from './errors.ts';
import { featuresInput, type LayerContext } from './layers.ts';

const MAX_CLASSES = 100_000;

/** What a model costs. */
export interface ModelCost {
  /** Weights. */
  readonly parameters: number;
  /** Multiplications and additions for one row. */
  readonly flops: number;
  /** Size of the file. */
  readonly sizeBytes: number;
}

/** An untrained model. */
export interface BuiltModel {
  readonly onnx: Uint8Array;
  readonly cost: ModelCost;
}

/** What to build. */
export interface BuildOptions {
  readonly architecture: string;
  /** Given parameters; the others take their defaults. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Sizes of one row. */
  readonly inputShape: readonly number[];
  readonly classes: number;
  readonly seed: number;
}

/** A proposal of {@link Catalog.recommend}. */
export interface Proposal {
  readonly architecture: string;
  readonly parameters: Parameters;
  readonly cost: ModelCost;
  readonly reason: string;
}

/** Builds models from architectures. */
export class Catalog {
  readonly #maxParameters: number;

  constructor(options: { readonly maxParameters: number }) {
    this.#maxParameters = options.maxParameters;
  }

  /** Architectures in the order of their ids. */
  list(): readonly Architecture[] {
    return ARCHITECTURES;
  }

  /** One architecture. @throws ARCHITECTURE_UNKNOWN */
  get(id: string): Architecture {
    const found = ARCHITECTURES.find((architecture) => architecture.id === id);
    if (found === undefined) {
      const known = ARCHITECTURES.map((architecture) => architecture.id).join(', ');
      throw new ArchitectureUnknown({ architecture: id, known });
    }
    return found;
  }

  /**
   * Builds an untrained model; the same options give the same bytes.
   *
   * @throws ARCHITECTURE_UNKNOWN PARAMETER_INVALID INPUT_UNFIT MODEL_TOO_LARGE
   */
  build(options: BuildOptions): BuiltModel {
    const architecture = this.get(options.architecture);
    const parameters = checkParameters(architecture, options.parameters);
    checkInput(architecture, options);
    this.#checkWidth(options, parameters);
    let flops = 0;
    const builder = new GraphBuilder();
    const context: LayerContext = {
      builder,
      random: seededRandom(options.seed),
      count: (added) => {
        flops += added;
      },
    };
    const features = featuresInput(builder, options.inputShape);
    const scores = architecture.build(context, features, { classes: options.classes, parameters });
    builder.output('logits', scores);
    const model = finishModel(builder.finish(architecture.id));
    const onnx = encodeModel(model);
    return { onnx, cost: { parameters: countParameters(model), flops, sizeBytes: onnx.byteLength } };
  }

  /** Proposes what fits rows of a shape, best first. */
  recommend(inputShape: readonly number[], rows: number, classes: number): readonly Proposal[] {
    return preferences(inputShape, rows).map(({ id, reason }) => {
      const parameters = checkParameters(this.get(id), {});
      const { cost } = this.build({ architecture: id, parameters, inputShape, classes, seed: 0 });
      return { architecture: id, parameters, cost, reason };
    });
  }

  /** Refuses before anything is allocated: the first layer is the widest a caller can ask for. */
  #checkWidth({ inputShape, classes }: BuildOptions, parameters: Parameters): void {
    const width = inputShape.reduce((product, dimension) => product * dimension, 1);
    const { hidden, filters1, filters2 } = parameters;
    let estimate = width * (hidden ?? classes) + (hidden ?? 0) * classes;
    if (filters1 !== undefined && filters2 !== undefined) {
      estimate = filters1 * filters2 * 9 + (width / 16) * filters2 * classes;
    }
    if (estimate > this.#maxParameters) {
      throw new ModelTooLarge({
        parameters: String(Math.ceil(estimate)),
        limit: String(this.#maxParameters),
      });
    }
  }
}

function countParameters(model: OnnxModel): number {
  return parameterSlots(model).reduce((sum, slot) => sum + slot.size, 0);
}

function checkParameters(architecture: Architecture, given: Readonly<Record<string, unknown>>): Parameters {
  const { properties } = architecture.parameters;
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(properties, name)) {
      const known = Object.keys(properties).join(', ') || 'none';
      throw new ParameterInvalid({ parameter: name, detail: `${architecture.id} takes ${known}` });
    }
  }
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => {
      const value = given[name] ?? schema['default'];
      const [minimum, maximum] = [Number(schema['minimum']), Number(schema['maximum'])];
      if (typeof value !== 'number' || !Number.isInteger(value) || value < minimum || value > maximum) {
        throw new ParameterInvalid({
          parameter: name,
          detail: `it must be a whole number from ${minimum} to ${maximum}`,
        });
      }
      return [name, value];
    }),
  );
}

function checkInput(architecture: Architecture, { inputShape, classes }: BuildOptions): void {
  const fail = (detail: string): never => {
    throw new InputUnfit({ architecture: architecture.id, detail });
  };
  if (inputShape.length === 0 || !inputShape.every((size) => Number.isSafeInteger(size) && size > 0)) {
    fail(`the shape [${inputShape.join(', ')}] is not a list of positive sizes`);
  }
  if (architecture.inputRanks.length > 0 && !architecture.inputRanks.includes(inputShape.length)) {
    fail(`rows have ${inputShape.length} dimensions and it takes ${architecture.inputRanks.join(' or ')}`);
  }
  if (classes < 2 || classes > MAX_CLASSES) {
    fail(`${classes} classes are outside 2 to ${MAX_CLASSES}; predicting a number is not supported yet`);
  }
}

/** Images go to the convolutions; few rows go to the model with the fewest weights. */
function preferences(shape: readonly number[], rows: number): readonly { id: string; reason: string }[] {
  const cnn = { id: 'cnn', reason: 'Rows are images, and neighbouring pixels belong together.' };
  const mlp = { id: 'mlp', reason: `${rows} rows are enough for a hidden layer.` };
  const linear = { id: 'linear', reason: 'Trains in a moment and is hard to overfit; the baseline.' };
  if (shape.length >= 2 && shape.length <= 3 && shape.slice(-2).every((size) => size >= 8)) {
    return [cnn, mlp, linear];
  }
  return rows >= 1_000 ? [mlp, linear] : [linear, { ...mlp, reason: `Only ${rows} rows; it may overfit.` }];
}
