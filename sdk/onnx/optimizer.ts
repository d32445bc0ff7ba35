import type { GraphBuilder } from './graph-builder.ts';
import type { Value } from './value.ts';

/** What one update reads. */
export interface UpdateInputs {
  /** Trained values. */
  readonly weights: Value;
  /** Gradient of the loss by the weights. */
  readonly gradient: Value;
  /** State of the optimiser, of the weights' shape each, zeros at the start. */
  readonly states: readonly Value[];
  /** Scalar from {@link Optimizer.rate}. */
  readonly rate: Value;
}

/** Changes weights by their gradient; its nodes become part of the training graph. */
export interface Optimizer {
  /** Name for messages. */
  readonly name: string;
  /** How many tensors of state it keeps. */
  readonly stateCount: number;
  /** Factor of an update, computed outside the graph in double precision. Steps count from 1. */
  readonly rate: (learningRate: number, step: number) => number;
  /** Appends an update; returns the new weights and states. */
  readonly update: (
    graph: GraphBuilder,
    inputs: UpdateInputs,
  ) => { weights: Value; states: readonly Value[] };
}

/** Options of {@link adam}. */
export interface AdamOptions {
  /** Decay of the mean; 0.9 by default, the value of the paper. */
  readonly beta1?: number;
  /** Decay of the squares; 0.999 by default, the value of the paper. */
  readonly beta2?: number;
  /** Keeps the division defined; 1e-8 by default, the value of the paper. */
  readonly epsilon?: number;
}

/**
 * Adam (Kingma and Ba, https://arxiv.org/abs/1412.6980), in the form at the end of the paper's section 2.
 *
 * @remarks The states are the paper's moments divided by 1 - beta, which spares two multiplications a step: M' = beta1 M
 * + g and V' = beta2 V + g^2. The factors and the bias correction move into the rate.
 */
export function adam(options: AdamOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  return {
    name: 'adam',
    stateCount: 2,
    rate: (learningRate, step) => {
      const correction = Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step);
      return (learningRate * correction * (1 - beta1)) / Math.sqrt(1 - beta2);
    },
    update: (graph, { weights, gradient, states, rate }) => {
      const mean = decayed(graph, states[0] ?? gradient, { factor: beta1, added: gradient });
      const square = graph.apply('Mul', [gradient, gradient]);
      const squares = decayed(graph, states[1] ?? square, { factor: beta2, added: square });
      const scale = graph.scalar(epsilon / Math.sqrt(1 - beta2));
      const divisor = graph.apply('Add', [graph.apply('Sqrt', [squares]), scale]);
      const direction = graph.apply('Div', [mean, divisor]);
      return { weights: descend(graph, { weights, direction, rate }), states: [mean, squares] };
    },
  };
}

/** Options of {@link stochasticGradientDescent}. */
export interface GradientDescentOptions {
  /** Share of the last step that is kept; 0 by default, plain gradient descent. */
  readonly momentum?: number;
}

/** Gradient descent, with momentum (Sutskever et al. 2013) when asked for. */
export function stochasticGradientDescent(options: GradientDescentOptions = {}): Optimizer {
  const { momentum = 0 } = options;
  return {
    name: 'sgd',
    stateCount: momentum === 0 ? 0 : 1,
    rate: (learningRate) => learningRate,
    update: (graph, { weights, gradient, states, rate }) => {
      const [velocity] = states;
      const direction =
        velocity === undefined ? gradient : decayed(graph, velocity, { factor: momentum, added: gradient });
      return {
        weights: descend(graph, { weights, direction, rate }),
        states: velocity === undefined ? [] : [direction],
      };
    },
  };
}

function decayed(
  graph: GraphBuilder,
  state: Value,
  { factor, added }: { factor: number; added: Value },
): Value {
  return graph.apply('Add', [graph.apply('Mul', [state, graph.scalar(factor)]), added]);
}

function descend(
  graph: GraphBuilder,
  { weights, direction, rate }: { weights: Value; direction: Value; rate: Value },
): Value {
  return graph.apply('Sub', [weights, graph.apply('Mul', [direction, rate])]);
}
