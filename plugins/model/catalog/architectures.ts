import { Type, type TObject } from 'lamella/sdk';
import type { Value } from 'lamella/sdk/onnx';
import { convolve, dense, flatten, type LayerContext, rectify, toImage } from './layers.ts';

/** Sizes of layers by parameter name. */
export type Parameters = Readonly<Record<string, number>>;

/** Training settings to start with. */
export interface DefaultHyperparameters {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly optimizer: string;
  readonly weightDecay: number;
}

/** A family of models. */
export interface Architecture {
  readonly id: string;
  readonly description: string;
  /** Schema of the parameters, all whole numbers, with defaults. */
  readonly parameters: TObject;
  /** Ranks one row may have; empty means any. */
  readonly inputRanks: readonly number[];
  readonly hyperparameters: DefaultHyperparameters;
  /** Appends the layers; returns class scores. */
  readonly build: (context: LayerContext, features: Value, options: BuildSizes) => Value;
}

/** Sizes that {@link Architecture.build} works with. */
export interface BuildSizes {
  readonly classes: number;
  readonly parameters: Parameters;
}

const ADAM = { optimizer: 'adam', batchSize: 32, weightDecay: 0 } as const;

function size(
  description: string,
  fallback: number,
  maximum: number = 4096,
): ReturnType<typeof Type.Integer> {
  return Type.Integer({ description, minimum: 1, maximum, default: fallback });
}

/** All architectures in the order of their ids. */
export const ARCHITECTURES: readonly Architecture[] = [
  {
    id: 'cnn',
    description: 'Two convolutions with pooling; for small images, where it beats the others by far',
    parameters: Type.Object(
      {
        filters1: size('Filters of the first convolution', 16, 512),
        filters2: size('Filters of the second', 32, 512),
      },
      { additionalProperties: false },
    ),
    inputRanks: [2, 3],
    hyperparameters: { ...ADAM, epochs: 6, learningRate: 0.003 },
    build: (context, features, { classes, parameters }) => {
      const first = convolve(context, toImage(context, features), parameters['filters1'] ?? 0);
      const second = convolve(context, first, parameters['filters2'] ?? 0);
      return dense(context, flatten(context, second), classes);
    },
  },
  {
    id: 'linear',
    description: 'Multinomial logistic regression; the fastest, and a baseline that others must beat',
    parameters: Type.Object({}, { additionalProperties: false }),
    inputRanks: [],
    hyperparameters: { ...ADAM, epochs: 12, learningRate: 0.003 },
    build: (context, features, { classes }) => dense(context, flatten(context, features), classes),
  },
  {
    id: 'mlp',
    description: 'One hidden layer; for tables and vectors whose columns act together',
    parameters: Type.Object(
      { hidden: size('Units of the hidden layer', 128) },
      { additionalProperties: false },
    ),
    inputRanks: [],
    hyperparameters: { ...ADAM, epochs: 10, learningRate: 0.001 },
    build: (context, features, { classes, parameters }) => {
      const hidden = rectify(context, dense(context, flatten(context, features), parameters['hidden'] ?? 0));
      return dense(context, hidden, classes);
    },
  },
];
