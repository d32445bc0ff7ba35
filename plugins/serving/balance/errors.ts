import { Code, DeclaredError, defineError, type ErrorType, isDeclaredError } from 'lamella/sdk';

/** The traffic of a model cannot be as it was asked for; the sentence says where. */
export const TrafficInvalid: ErrorType<'problem'> = defineError({
  reason: 'TRAFFIC_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => problem,
});

/** The requests of a model are not balanced. */
export const TrafficNotFound: ErrorType<'model'> = defineError({
  reason: 'TRAFFIC_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ model }) =>
    `The requests of '${model}' are not balanced; ListTraffic lists the models whose are, SetTraffic adds one.`,
});

/** There is no room for the traffic of one more model. */
export const TrafficFull: ErrorType<'limit'> = defineError({
  reason: 'TRAFFIC_FULL',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ limit }) =>
    `The traffic of ${limit} models is set, and that is the limit; delete one with DeleteTraffic or raise maxModels.`,
});

/** A request asks for a split that the traffic does not have. */
export const SplitUnknown: ErrorType<'model' | 'split' | 'known'> = defineError({
  reason: 'SPLIT_UNKNOWN',
  code: Code.NOT_FOUND,
  message: ({ model, split, known }) =>
    `Request for unknown model: '${model}' version ${split} is no split of its traffic; there is: ${known}.`,
});

/** No endpoint of a split takes requests. */
export const NoEndpoint: ErrorType<'model' | 'split' | 'obstacle'> = defineError({
  reason: 'NO_ENDPOINT',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ model, split, obstacle }) =>
    `No endpoint of '${model}' (${split}) takes requests: ${obstacle}; ListEndpoints tells of each.`,
});

/** The endpoint that holds the state of a sequence is gone. */
export const SequenceLost: ErrorType<'model' | 'obstacle'> = defineError({
  reason: 'SEQUENCE_LOST',
  code: Code.UNAVAILABLE,
  message: ({ model, obstacle }) =>
    `The endpoint that has the state of this sequence of '${model}' does not answer (${obstacle}); start the sequence again.`,
});

/** Too many sequences are under way. */
export const SequencesFull: ErrorType<'model' | 'limit'> = defineError({
  reason: 'SEQUENCES_FULL',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ model, limit }) =>
    `${limit} sequences of '${model}' are under way; end some with 'sequence_end' before you start more.`,
});

/** The model has no canary, or none that can be moved. */
export const CanaryNotRunning: ErrorType<'model' | 'state'> = defineError({
  reason: 'CANARY_NOT_RUNNING',
  code: Code.FAILED_PRECONDITION,
  message: ({ model, state }) =>
    `The canary of '${model}' is ${state}; SetTraffic with a changed canary or candidate starts one.`,
});

/**
 * The error of a server elsewhere as callers get it: the same, raised by that server and not by this plugin, which would
 * have to answer for it otherwise.
 *
 * @param address - `host:port`.
 */
export function endpointError(address: string, error: unknown): unknown {
  if (isDeclaredError(error)) {
    const { reason, code, message, metadata, retryAfterMs, violations } = error;
    const delay = retryAfterMs === undefined ? {} : { retryAfterMs };
    return new DeclaredError({
      reason,
      code,
      message,
      metadata,
      violations,
      ...delay,
      domain: address,
      cause: error,
    });
  }
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  if (typeof code !== 'number') return error;
  const status = { code: code as Code, message: String(message) };
  return new DeclaredError({ reason: 'ENDPOINT_FAILED', ...status, domain: address, cause: error });
}
