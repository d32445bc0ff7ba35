import { Code, defineError, type ErrorType } from 'lamella/sdk';

// Texts begin as Triton's do where clients match them.

/** A request names a model, or a version of it, that is not loaded. */
export const ModelUnknown: ErrorType<'what'> = defineError({
  reason: 'MODEL_UNKNOWN',
  code: Code.NOT_FOUND,
  message: ({ what }) =>
    `Request for unknown model: ${what} is not found; RepositoryIndex lists the models and RepositoryModelLoad loads one`,
});

/** A request does not fit the model; the sentence says where. */
export const RequestInvalid: ErrorType<'problem'> = defineError({
  reason: 'REQUEST_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => problem,
});

/** Too many requests wait for the model. */
export const QueueFull: ErrorType<'model' | 'limit'> = defineError({
  reason: 'QUEUE_FULL',
  code: Code.UNAVAILABLE,
  hasStack: false,
  message: ({ model, limit }) =>
    `Exceeds maximum queue size: ${limit} requests wait for '${model}'; try again later or raise instances or queueLimit`,
});

/** A request costs more than one run of the model may. */
export const RequestTooCostly: ErrorType<'model' | 'cost' | 'limit'> = defineError({
  reason: 'REQUEST_TOO_COSTLY',
  code: Code.INVALID_ARGUMENT,
  hasStack: false,
  message: ({ model, cost, limit }) =>
    `The request costs ${cost}, and a run of '${model}' may cost ${limit}; send it in parts or raise max_batch_cost`,
});

/** The `timeout` parameter of a request passed while it waited. */
export const RequestExpired: ErrorType<'model'> = defineError({
  reason: 'REQUEST_EXPIRED',
  code: Code.UNAVAILABLE,
  message: ({ model }) =>
    `Request timeout expired while it waited for '${model}'; give it more time or try again`,
});

/** The deadline of the call passed while it waited. */
export const DeadlinePassed: ErrorType<'model'> = defineError({
  reason: 'DEADLINE_PASSED',
  code: Code.DEADLINE_EXCEEDED,
  hasStack: false,
  message: ({ model }) => `The deadline of the call passed while it waited for '${model}'; give it more time`,
});

/** The caller went away while its request waited. */
export const RequestCancelled: ErrorType = defineError({
  reason: 'REQUEST_CANCELLED',
  code: Code.CANCELLED,
  message: () => 'The request was cancelled by its caller.',
});

/** A model or version that is asked for is in no folder and not in the registry. */
export const ModelNotRegistered: ErrorType<'model' | 'version'> = defineError({
  reason: 'MODEL_NOT_REGISTERED',
  code: Code.NOT_FOUND,
  message: ({ model, version }) =>
    `failed to load '${model}', failed to poll from model repository: there is no ${version}; register it, put it into ` +
    "a folder of modelRepositories, or name another version in the parameter 'version'",
});

/** A registered file cannot be served. */
export const ModelLoadFailed: ErrorType<'model' | 'problem'> = defineError({
  reason: 'MODEL_LOAD_FAILED',
  code: Code.FAILED_PRECONDITION,
  message: ({ model, problem }) => `failed to load '${model}': ${problem}`,
});

/** A file that comes with a load cannot be kept; Triton's clients know this one as an internal error. */
export const ModelPollFailed: ErrorType<'problem'> = defineError({
  reason: 'MODEL_POLL_FAILED',
  code: Code.INTERNAL,
  message: ({ problem }) => `failed to load, failed to poll from model repository: ${problem}`,
});

/** Too many models are asked for that are not loaded. */
export const LoadsFull: ErrorType<'model' | 'limit'> = defineError({
  reason: 'LOADS_FULL',
  code: Code.UNAVAILABLE,
  message: ({ model, limit }) =>
    `'${model}' is not loaded, and ${limit} models wait to be loaded for requests already; try again later`,
});

/** A caller may not load or unload this model. */
export const ModelControlRefused: ErrorType<'model' | 'advice'> = defineError({
  reason: 'MODEL_CONTROL_REFUSED',
  code: Code.FAILED_PRECONDITION,
  message: ({ model, advice }) => `failed to load or unload '${model}': ${advice}`,
});

/** Says that folders, and not callers, decide which of their models are loaded. */
export function notExplicit(model: string, mode: string): Error {
  const advice =
    `explicit model load / unload is not allowed if modelControlMode is ${mode}; ` +
    'change its folder, or set the mode to explicit';
  return new ModelControlRefused({ model, advice });
}

/** A method of the protocol that this server does not have. */
export const MethodUnsupported: ErrorType<'method' | 'advice'> = defineError({
  reason: 'METHOD_UNSUPPORTED',
  code: Code.UNIMPLEMENTED,
  message: ({ method, advice }) => `${method} is not supported by this server; ${advice}`,
});

/** The plugin that runs a model failed, or gave what its configuration does not say. */
export const BackendFailed: ErrorType<'backend' | 'problem'> = defineError({
  reason: 'BACKEND_FAILED',
  code: Code.INTERNAL,
  message: ({ backend, problem }) => `backend '${backend}' failed: ${problem}; see the log of its plugin`,
});

/** The plugin that runs a model does not answer. */
export const BackendUnavailable: ErrorType<'backend' | 'problem'> = defineError({
  reason: 'BACKEND_UNAVAILABLE',
  code: Code.UNAVAILABLE,
  message: ({ backend, problem }) => `backend '${backend}' is not available: ${problem}; try again later`,
});

/** A request for one answer is for a model that gives any number. */
export const ModelDecoupled: ErrorType<'way' | 'advice'> = defineError({
  reason: 'MODEL_DECOUPLED',
  code: Code.UNIMPLEMENTED,
  message: ({ way, advice }) => `${way} doesn't support models with decoupled transaction policy; ${advice}`,
});

/** Says that a decoupled model cannot be asked in that way. */
export function decoupled(way: string): Error {
  const advice = 'use ModelStreamInfer, generate_stream, or infer with Accept: text/event-stream';
  return new ModelDecoupled({ way, advice });
}

/** Says that a tensor has more or less content than its shape needs. */
export function sizeMismatch(facts: {
  readonly name: string;
  readonly model: string;
  readonly expected: number;
  readonly got: number;
  readonly unit: string;
}): Error {
  const { name, model, expected, got, unit } = facts;
  return new RequestInvalid({
    problem: `unexpected total size ${got} ${unit} for input '${name}' for model '${model}', expecting ${expected}`,
  });
}
