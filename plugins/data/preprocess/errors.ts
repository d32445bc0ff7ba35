import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** No step has this name. */
export const StepUnknown: ErrorType<'step' | 'known'> = defineError({
  reason: 'STEP_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ step, known }) => `There is no preprocessing step '${step}'; there are: ${known}.`,
});

/** A step's arguments are not valid. */
export const StepArgumentsInvalid: ErrorType<'step' | 'detail'> = defineError({
  reason: 'STEP_ARGUMENTS_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ step, detail }) =>
    `The arguments of step '${step}' are not valid: ${detail}; ListPreprocessSteps shows what it takes.`,
});

/** A column is named that is not there. */
export const ColumnUnknown: ErrorType<'column' | 'known'> = defineError({
  reason: 'COLUMN_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ column, known }) => `There is no column '${column}' here; there are: ${known}.`,
});

/** A step does not work on columns of this type. */
export const ColumnUnfit: ErrorType<'step' | 'column' | 'detail'> = defineError({
  reason: 'COLUMN_UNFIT',
  code: Code.INVALID_ARGUMENT,
  message: ({ step, column, detail }) => `Step '${step}' cannot take column '${column}': ${detail}.`,
});

/** What a fitted step learned is missing or not valid. */
export const PipelineInvalid: ErrorType<'detail'> = defineError({
  reason: 'PIPELINE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ detail }) => `The fitted pipeline is not valid: ${detail}; pass on the answer of Fit as it is.`,
});

/** There is nothing to learn from. */
export const NothingToLearn: ErrorType<'step' | 'detail'> = defineError({
  reason: 'NOTHING_TO_LEARN',
  code: Code.FAILED_PRECONDITION,
  message: ({ step, detail }) => `Step '${step}' cannot learn from this version: ${detail}.`,
});

/** A row filter is not one condition. */
export const RowFilterInvalid: ErrorType<'detail'> = defineError({
  reason: 'ROW_FILTER_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ detail }) => `row_filter must be one SQL condition over the columns: ${detail}.`,
});

/** Too many steps. */
export const TooManySteps: ErrorType<'count' | 'maximum'> = defineError({
  reason: 'TOO_MANY_STEPS',
  code: Code.INVALID_ARGUMENT,
  message: ({ count, maximum }) => `${count} steps are more than the ${maximum} allowed; split the pipeline.`,
});
