import { graphAttribute, intAttribute } from './attribute.ts';
import { crossEntropy } from './cross-entropy.ts';
import { ElementType } from './element-type.ts';
import { ModelNotTrainable } from './errors.ts';
import { finishModel } from './finish-model.ts';
import { backpropagate } from './gradient.ts';
import { floatType, GraphBuilder } from './graph-builder.ts';
import { importGraph, valueNamed } from './import-graph.ts';
import type { OnnxModel } from './model.ts';
import type { Optimizer } from './optimizer.ts';
import { parameterSlots, type ParameterSlot } from './parameters.ts';
import { type Shape, typeOfInfo, type Value } from './value.ts';

/** Options of {@link buildTrainingGraph}. */
export interface TrainingGraphOptions {
  /** Samples in one step. */
  readonly batchSize: number;
  readonly optimizer: Optimizer;
  /** Weight of the L2 penalty on all trainable values; 0 by default, which adds no nodes. */
  readonly weightDecay?: number;
}

/** A model that trains another one. */
export interface TrainingGraph {
  /**
   * The graph. Inputs: `weights` and `state_0`, `state_1`, … FLOAT [P]; `features` FLOAT [rows, …]; `labels` INT64
   * [rows]; `indices` INT64 [steps, batch], rows of each step; `rates` FLOAT [steps] from the optimiser. Outputs:
   * `new_weights`, `new_state_0`, … FLOAT [P] and `losses` FLOAT [steps].
   */
  readonly model: OnnxModel;
  /** Length P of the weight vector. */
  readonly parameterCount: number;
  /** How many tensors of optimiser state go in and out. */
  readonly stateCount: number;
}

/** Values of the graph around the Scan. */
interface Outer {
  readonly weights: Value;
  readonly states: readonly Value[];
  readonly features: Value;
  readonly labels: Value;
  readonly indices: Value;
  readonly rates: Value;
}

/**
 * Turns a classifier into one graph that runs many training steps: forward pass, cross entropy, backward pass and
 * optimiser form the body of a Scan over the steps.
 *
 * @remarks All weights travel as one vector, so the optimiser costs a fixed handful of nodes however many tensors the
 * model has; the body takes rows from `features` by index, so an epoch is shuffled by sending numbers, not samples.
 * @param model - One float input of samples [N, …], one output of class scores [N, classes] without softmax.
 * @throws MODEL_NOT_TRAINABLE if the model has another form.
 * @throws GRADIENT_UNSUPPORTED OPERATOR_UNSUPPORTED SHAPE_MISMATCH if one of its operators cannot be trained through.
 */
export function buildTrainingGraph(model: OnnxModel, options: TrainingGraphOptions): TrainingGraph {
  const { optimizer } = options;
  const sampleShape = sampleShapeOf(model);
  const slots = parameterSlots(model);
  const parameterCount = slots.reduce((sum, slot) => sum + slot.size, 0);
  if (parameterCount === 0) {
    throw new ModelNotTrainable({ detail: 'it has no weights' });
  }
  const builder = new GraphBuilder();
  const vector = floatType([parameterCount]);
  const outer: Outer = {
    weights: builder.input('weights', vector),
    states: stateNames(optimizer).map((name) => builder.input(name, vector)),
    features: builder.input('features', floatType(['rows', ...sampleShape])),
    labels: builder.input('labels', { type: ElementType.INT64, shape: ['rows'] }),
    indices: builder.input('indices', { type: ElementType.INT64, shape: ['steps', options.batchSize] }),
    rates: builder.input('rates', floatType(['steps'])),
  };
  const body = new BodyBuilder(builder, outer, options).build(model, slots);
  const carried = [outer.weights, ...outer.states];
  const outputs = builder.call('Scan', [...carried, outer.indices, outer.rates], {
    attributes: { body: graphAttribute(body), num_scan_inputs: intAttribute(2) },
    outputCount: carried.length + 1,
    types: [...carried.map(() => vector), floatType(['steps'])],
  });
  [...carried.map(({ name }) => `new_${name}`), 'losses'].forEach((name, index) => {
    const value = outputs[index];
    if (value !== undefined) {
      builder.output(name, value);
    }
  });
  return { model: finishModel(builder.finish('training')), parameterCount, stateCount: optimizer.stateCount };
}

/** Names of the optimiser's state inputs. */
export function stateNames(optimizer: Pick<Optimizer, 'stateCount'>): readonly string[] {
  return Array.from({ length: optimizer.stateCount }, (_, index) => `state_${index}`);
}

function sampleShapeOf(model: OnnxModel): Shape {
  const names = new Set(model.graph.initializers.map((tensor) => tensor.name));
  const [input, ...more] = model.graph.inputs.filter(({ name }) => !names.has(name));
  const type = input === undefined ? undefined : typeOfInfo(input);
  if (type === undefined || more.length > 0 || type.type !== ElementType.FLOAT || type.shape.length < 2) {
    throw new ModelNotTrainable({ detail: 'it does not have exactly one float input of shape [N, …]' });
  }
  return type.shape.slice(1);
}

/** Builds the body of the Scan: one training step. */
class BodyBuilder {
  readonly #graph: GraphBuilder;
  readonly #outer: Outer;
  readonly #options: TrainingGraphOptions;

  constructor(builder: GraphBuilder, outer: Outer, options: TrainingGraphOptions) {
    this.#graph = new GraphBuilder(builder);
    this.#outer = outer;
    this.#options = options;
  }

  build(model: OnnxModel, slots: readonly ParameterSlot[]): ReturnType<GraphBuilder['finish']> {
    const graph = this.#graph;
    const weights = graph.input('step_weights', this.#outer.weights);
    const states = this.#outer.states.map((state) => graph.input(`step_${state.name}`, state));
    const indices = graph.input('step_indices', {
      type: ElementType.INT64,
      shape: [this.#options.batchSize],
    });
    const rate = graph.input('step_rate', floatType([]));
    const parameters = unpack(graph, weights, slots);
    const { scores, labels } = this.#forward(model, { indices, slots, parameters });
    const { loss, gradient: scoreGradient } = crossEntropy(graph, scores, labels);
    const parameterGradients = backpropagate(graph, { value: scores, gradient: scoreGradient }, parameters);
    const gradient = this.#decayed(pack(graph, parameterGradients), weights);
    const updated = this.#options.optimizer.update(graph, { weights, gradient, states, rate });
    graph.output('next_weights', updated.weights);
    updated.states.forEach((state, index) => graph.output(`next_state_${index}`, state));
    graph.output('step_loss', loss);
    return graph.finish('training_step');
  }

  /** The penalty's gradient is the weights times its weight; the reported loss leaves it out. */
  #decayed(gradient: Value, weights: Value): Value {
    const { weightDecay = 0 } = this.#options;
    const graph = this.#graph;
    return weightDecay === 0
      ? gradient
      : graph.apply('Add', [gradient, graph.apply('Mul', [weights, graph.scalar(weightDecay)])]);
  }

  /** Appends the model; the labels come along because they are taken by the same row numbers. */
  #forward(
    model: OnnxModel,
    step: { indices: Value; slots: readonly ParameterSlot[]; parameters: readonly Value[] },
  ): { scores: Value; labels: Value } {
    const graph = this.#graph;
    const samples = graph.apply('Gather', [this.#outer.features, step.indices]);
    const labels = graph.apply('Gather', [this.#outer.labels, step.indices]);
    const bindings = new Map([[inputName(model), samples]]);
    step.slots.forEach((slot, index) => {
      const parameter = step.parameters[index];
      if (parameter !== undefined) {
        bindings.set(slot.name, parameter);
      }
    });
    const values = importGraph(graph, model.graph, bindings);
    const [output, ...more] = model.graph.outputs;
    if (output === undefined || more.length > 0) {
      throw new ModelNotTrainable({ detail: 'it does not have exactly one output' });
    }
    return { scores: checkScores(valueNamed(values, output.name)), labels };
  }
}

function checkScores(scores: Value): Value {
  if (scores.type !== ElementType.FLOAT || scores.shape.length !== 2) {
    throw new ModelNotTrainable({
      detail: `its output '${scores.name}' is not a float matrix of [N, classes]`,
    });
  }
  return scores;
}

function inputName(model: OnnxModel): string {
  const names = new Set(model.graph.initializers.map((tensor) => tensor.name));
  return model.graph.inputs.find(({ name }) => !names.has(name))?.name ?? '';
}

/** Cuts the weight vector into the model's tensors. */
function unpack(graph: GraphBuilder, weights: Value, slots: readonly ParameterSlot[]): readonly Value[] {
  const sizes = graph.integers(slots.map((slot) => slot.size));
  const pieces =
    slots.length === 1 ? [weights] : graph.call('Split', [weights, sizes], { outputCount: slots.length });
  return pieces.map((piece, index) =>
    graph.apply('Reshape', [piece, graph.integers(slots[index]?.dims ?? [])]),
  );
}

/** Joins the tensors' gradients into one vector. */
function pack(graph: GraphBuilder, tensors: readonly Value[]): Value {
  const flat = tensors.map((tensor) => graph.apply('Reshape', [tensor, graph.integers([-1])]));
  const [only] = flat;
  return only !== undefined && flat.length === 1
    ? only
    : graph.apply('Concat', flat, { axis: intAttribute(0) });
}
