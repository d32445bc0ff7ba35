import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** No architecture has that id. */
export const ArchitectureUnknown: ErrorType<'architecture' | 'known'> = defineError({
  reason: 'ARCHITECTURE_UNKNOWN',
  code: Code.NOT_FOUND,
  message: ({ architecture, known }) =>
    `Architecture '${architecture}' does not exist; choose one of ${known}.`,
});

/** A parameter is not one that the architecture takes. */
export const ParameterInvalid: ErrorType<'parameter' | 'detail'> = defineError({
  reason: 'PARAMETER_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ parameter, detail }) =>
    `Parameter '${parameter}' is invalid: ${detail}. GetArchitecture shows the schema of the parameters.`,
});

/** The architecture cannot take rows of that shape. */
export const InputUnfit: ErrorType<'architecture' | 'detail'> = defineError({
  reason: 'INPUT_UNFIT',
  code: Code.INVALID_ARGUMENT,
  message: ({ architecture, detail }) =>
    `Architecture '${architecture}' cannot take this input: ${detail}. Recommend proposes architectures that fit.`,
});

/** The model would have more weights than the configuration allows. */
export const ModelTooLarge: ErrorType<'parameters' | 'limit'> = defineError({
  reason: 'MODEL_TOO_LARGE',
  code: Code.INVALID_ARGUMENT,
  message: ({ parameters, limit }) =>
    `The model would have ${parameters} weights and at most ${limit} are allowed; choose smaller layers or raise 'maxParameters'.`,
});
