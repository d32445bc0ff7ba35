import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A run names a model that is not open here; serving.infer opens it again. */
export const ModelNotOpen: ErrorType<'id'> = defineError({
  reason: 'MODEL_NOT_OPEN',
  code: Code.NOT_FOUND,
  message: ({ id }) => `Model ${id} is not open; open it first.`,
});

/** The files of a model cannot be read as a layers model. */
export const ModelUnreadable: ErrorType<'model' | 'problem'> = defineError({
  reason: 'MODEL_UNREADABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ model, problem }) => `The layers model '${model}' cannot be opened: ${problem}`,
});

/** TensorFlow.js is not installed. */
export const TfjsMissing: ErrorType = defineError({
  reason: 'TFJS_MISSING',
  code: Code.FAILED_PRECONDITION,
  message: () =>
    'TensorFlow.js is not installed; run npm install @tensorflow/tfjs-core @tensorflow/tfjs-layers ' +
    '@tensorflow/tfjs-backend-cpu where this plugin lies.',
});
