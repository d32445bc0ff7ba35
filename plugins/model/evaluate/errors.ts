import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** The request lacks a part. */
export const RequestIncomplete: ErrorType<'detail'> = defineError({
  reason: 'REQUEST_INCOMPLETE',
  code: Code.INVALID_ARGUMENT,
  message: ({ detail }) =>
    `${detail}; give a model (onnx or model_version), a dataset_version, a feature_column and a label_column.`,
});

/** The split is not valid. */
export const SplitInvalid: ErrorType<'share'> = defineError({
  reason: 'SPLIT_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ share }) => `A hold-out share of ${share} is not between 0 and 1; 0.2 is usual.`,
});

/** The model is larger than the configured limit. */
export const ModelTooLarge: ErrorType<'maxBytes'> = defineError({
  reason: 'MODEL_TOO_LARGE',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ maxBytes }) =>
    `The model is larger than ${maxBytes} bytes; raise 'maxModelBytes' to evaluate it.`,
});

/** The model does not have the form that can be measured. */
export const ModelUnfit: ErrorType<'detail'> = defineError({
  reason: 'MODEL_UNFIT',
  code: Code.INVALID_ARGUMENT,
  message: ({ detail }) =>
    `The model cannot be evaluated: ${detail}. It needs one input for the feature column and an output 'probabilities' [N, classes].`,
});

/** A column is not there. */
export const ColumnUnknown: ErrorType<'column' | 'version'> = defineError({
  reason: 'COLUMN_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ column, version }) => `'${version}' has no column '${column}'; GetVersion shows those it has.`,
});

/** A row cannot be used. */
export const RowInvalid: ErrorType<'column' | 'key' | 'detail'> = defineError({
  reason: 'ROW_INVALID',
  code: Code.FAILED_PRECONDITION,
  message: ({ column, key, detail }) =>
    `Column '${column}' of the row with key ${key} cannot be evaluated: ${detail}; clean the data first.`,
});

/** The store gave other rows than the version has. */
export const RowsIncomplete: ErrorType<'version' | 'read' | 'expected'> = defineError({
  reason: 'ROWS_INCOMPLETE',
  code: Code.DATA_LOSS,
  message: ({ version, read, expected }) =>
    `The store gave ${read} rows of '${version}', which has ${expected}; figures over a part would mislead. Try again, and check the store if it stays.`,
});

/** No row is held out. */
export const HoldoutEmpty: ErrorType<'version'> = defineError({
  reason: 'HOLDOUT_EMPTY',
  code: Code.FAILED_PRECONDITION,
  message: ({ version }) =>
    `No row of '${version}' is in the hold-out; raise the hold-out share or use a larger dataset.`,
});

/** A disturbance cannot be applied. */
export const DisturbanceUnsupported: ErrorType<'disturbance' | 'detail'> = defineError({
  reason: 'DISTURBANCE_UNSUPPORTED',
  code: Code.UNIMPLEMENTED,
  message: ({ disturbance, detail }) =>
    `Disturbance ${disturbance} cannot be applied: ${detail}; noise, blur and contrast are there for images.`,
});
