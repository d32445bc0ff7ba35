import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A run names a model that is not open here; serving.infer opens it again. */
export const ModelNotOpen: ErrorType<'id'> = defineError({
  reason: 'MODEL_NOT_OPEN',
  code: Code.NOT_FOUND,
  message: ({ id }) => `Model ${id} is not open; open it first.`,
});

/** Inputs do not fit together. */
export const InputInvalid: ErrorType<'problem'> = defineError({
  reason: 'INPUT_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => problem,
});
