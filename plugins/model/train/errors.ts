import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A field of the request is missing or out of range. */
export const TrainRequestInvalid: ErrorType<'field' | 'detail'> = defineError({
  reason: 'TRAIN_REQUEST_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ field, detail }) => `Field '${field}' of the training request is invalid: ${detail}.`,
});

/** The dataset lacks a column, or the column holds something that cannot be trained on. */
export const ColumnUnusable: ErrorType<'column' | 'detail'> = defineError({
  reason: 'COLUMN_UNUSABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ column, detail }) =>
    `Column '${column}' cannot be used for training: ${detail}. Choose another column or clean the dataset first.`,
});

/** No rows are left to train on. */
export const NoTrainingRows: ErrorType<'version'> = defineError({
  reason: 'NO_TRAINING_ROWS',
  code: Code.FAILED_PRECONDITION,
  message: ({ version }) =>
    `'${version}' has no rows outside the hold-out; collect more or lower holdout_share.`,
});

/** The prepared features do not fit the configured memory. */
export const DatasetTooLarge: ErrorType<'sizeMib' | 'limitMib'> = defineError({
  reason: 'DATASET_TOO_LARGE',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ sizeMib, limitMib }) =>
    `The features take ${sizeMib} MiB and at most ${limitMib} MiB are allowed; take fewer rows or raise 'maxFeaturesMib'.`,
});

/** The pipeline's ONNX form does not fit the feature column. */
export const PipelineUnfit: ErrorType<'detail'> = defineError({
  reason: 'PIPELINE_UNFIT',
  code: Code.INVALID_ARGUMENT,
  message: ({ detail }) =>
    `The pipeline cannot be put in front of the model: ${detail}. Fit it for the feature column alone.`,
});

/** The model to go on from has other weights than the architecture. */
export const InitialModelUnfit: ErrorType<'weights'> = defineError({
  reason: 'INITIAL_MODEL_UNFIT',
  code: Code.INVALID_ARGUMENT,
  message: ({ weights }) =>
    `The initial model has no weights '${weights}' of the right shape; use one that was trained with the same architecture and parameters.`,
});

/** The loss is no longer a number. */
export const TrainingDiverged: ErrorType<'step'> = defineError({
  reason: 'TRAINING_DIVERGED',
  code: Code.FAILED_PRECONDITION,
  message: ({ step }) =>
    `The loss stopped being a number by step ${step}; lower learning_rate, or scale the features to small numbers.`,
});

/** The engine or device cannot be used here. */
export const EngineUnavailable: ErrorType<'engine' | 'detail'> = defineError({
  reason: 'ENGINE_UNAVAILABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ engine, detail }) =>
    `Training with '${engine}' is not possible here: ${detail}. ListEngines shows what is.`,
});
