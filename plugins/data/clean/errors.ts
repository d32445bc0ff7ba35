import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** No step has this name. */
export const StepUnknown: ErrorType<'step' | 'known'> = defineError({
  reason: 'STEP_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ step, known }) => `There is no cleaning step '${step}'; there are: ${known}.`,
});

/** A step's arguments are not valid. */
export const StepArgumentsInvalid: ErrorType<'step' | 'detail'> = defineError({
  reason: 'STEP_ARGUMENTS_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ step, detail }) =>
    `The arguments of step '${step}' are not valid: ${detail}; ListCleanSteps shows what it takes.`,
});

/** A column is named that is not there. */
export const ColumnUnknown: ErrorType<'column' | 'known'> = defineError({
  reason: 'COLUMN_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ column, known }) => `There is no column '${column}' here; there are: ${known}.`,
});

/** Too many steps. */
export const TooManySteps: ErrorType<'count' | 'maximum'> = defineError({
  reason: 'TOO_MANY_STEPS',
  code: Code.INVALID_ARGUMENT,
  message: ({ count, maximum }) => `${count} steps are more than the ${maximum} allowed; split the cleaning.`,
});

/** The store answered without a version. */
export const VersionMissing: ErrorType<'name'> = defineError({
  reason: 'VERSION_MISSING',
  code: Code.NOT_FOUND,
  message: ({ name }) => `The store gave no version for '${name}'; ListVersions shows those there are.`,
});
