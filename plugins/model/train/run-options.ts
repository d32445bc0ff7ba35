import { create } from '@bufbuild/protobuf';
import {
  type Hyperparameters,
  HyperparametersSchema,
  type Split,
} from 'lamella/proto/lamella/model/v1/model';
import { adam, type Optimizer, stochasticGradientDescent } from 'lamella/sdk/onnx';
import { TrainRequestInvalid } from './errors.ts';

/** Settings of a run, complete and checked. */
export interface RunOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly optimizer: Optimizer;
  readonly weightDecay: number;
  readonly seed: number;
}

/** How rows are divided. */
export interface SplitOptions {
  readonly keyColumn: string;
  readonly holdoutShare: number;
  readonly seed: number;
}

const DEFAULT_HOLDOUT_SHARE = 0.2;
const MOMENTUM = 0.9;

const LIMITS = {
  epochs: { fallback: 10, maximum: 10_000 },
  batchSize: { fallback: 32, maximum: 65_536 },
  learningRate: { fallback: 0.001, maximum: 1_000 },
} as const;

/** Fills what a request leaves open from the architecture's defaults. @throws TRAIN_REQUEST_INVALID */
export function runOptions(
  given: Hyperparameters = create(HyperparametersSchema),
  defaults: Hyperparameters = create(HyperparametersSchema),
): RunOptions {
  const number = (field: keyof typeof LIMITS): number => {
    const { fallback, maximum } = LIMITS[field];
    const value = given[field] || defaults[field] || fallback;
    if (!(value > 0 && value <= maximum)) {
      throw new TrainRequestInvalid({
        field: `hyperparameters.${field}`,
        detail: `${value} is not above 0 and at most ${maximum}`,
      });
    }
    return value;
  };
  return {
    epochs: number('epochs'),
    batchSize: number('batchSize'),
    learningRate: number('learningRate'),
    optimizer: optimizerNamed(given.optimizer || defaults.optimizer || 'adam'),
    weightDecay: weightDecay(given.weightDecay || defaults.weightDecay),
    seed: given.seed,
  };
}

/** Fills what a request leaves open. @throws TRAIN_REQUEST_INVALID */
export function splitOptions(split: Split | undefined): SplitOptions {
  const holdoutShare = split?.holdoutShare || DEFAULT_HOLDOUT_SHARE;
  if (!(holdoutShare > 0 && holdoutShare < 1)) {
    throw new TrainRequestInvalid({
      field: 'split.holdout_share',
      detail: `${holdoutShare} is not between 0 and 1`,
    });
  }
  return { keyColumn: split?.keyColumn || 'id', holdoutShare, seed: split?.seed ?? 0 };
}

function weightDecay(value: number): number {
  if (!(value >= 0 && value <= 1)) {
    throw new TrainRequestInvalid({
      field: 'hyperparameters.weightDecay',
      detail: `${value} is not from 0 to 1`,
    });
  }
  return value;
}

function optimizerNamed(name: string): Optimizer {
  switch (name) {
    case 'adam':
      return adam();
    case 'sgd':
      return stochasticGradientDescent();
    case 'momentum':
      return stochasticGradientDescent({ momentum: MOMENTUM });
    default:
      throw new TrainRequestInvalid({
        field: 'hyperparameters.optimizer',
        detail: `'${name}' is none of adam, momentum, sgd`,
      });
  }
}
