import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A feedback that cannot become a training row. */
export const FeedbackInvalid: ErrorType<'problem'> = defineError({
  reason: 'FEEDBACK_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The feedback cannot be stored: ${problem}.`,
});

/** No feedback of that name. */
export const FeedbackNotFound: ErrorType<'name'> = defineError({
  reason: 'FEEDBACK_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ name }) => `There is no feedback '${name}'; ListFeedback shows the names.`,
});

/** The model was never trained by a recipe. */
export const RecipeMissing: ErrorType<'model'> = defineError({
  reason: 'RECIPE_MISSING',
  code: Code.FAILED_PRECONDITION,
  message: ({ model }) =>
    `Model '${model}' has no stored recipe; send one with the first Retrain, later ones may leave it out.`,
});

/** A recipe that cannot be followed. */
export const RecipeInvalid: ErrorType<'problem'> = defineError({
  reason: 'RECIPE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The recipe cannot be followed: ${problem}.`,
});

/** Only one training of a model runs at a time. */
export const RetrainRunning: ErrorType<'model'> = defineError({
  reason: 'RETRAIN_RUNNING',
  code: Code.FAILED_PRECONDITION,
  message: ({ model }) =>
    `Model '${model}' is being retrained already; GetRetrainStatus shows how far it is.`,
});

/** The caller that a training ran for went away. */
export const RetrainAbandoned: ErrorType = defineError({
  reason: 'RETRAIN_ABANDONED',
  code: Code.ABORTED,
  message: () =>
    'The call that the training ran for was cancelled, and the training with it; call Retrain again.',
});

/** The data did not pass its rules. */
export const QualityGateFailed: ErrorType<'version' | 'failures'> = defineError({
  reason: 'QUALITY_GATE_FAILED',
  code: Code.FAILED_PRECONDITION,
  message: ({ version, failures }) =>
    `${version} did not pass the quality gate and nothing was trained: ${failures}`,
});

/** A service ended its stream without the result it owes. */
export const StageIncomplete: ErrorType<'stage'> = defineError({
  reason: 'STAGE_INCOMPLETE',
  code: Code.INTERNAL,
  message: ({ stage }) =>
    `The ${stage} stage ended without a result; see the log of the plugin that does it, then retry.`,
});
