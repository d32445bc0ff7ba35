import { defineError, type ErrorType } from '../errors.ts';
import { Code } from '../status-code.ts';

/** The model file cannot become a session; says what ONNX Runtime or the check before it found. */
export const ModelRejected: ErrorType<'problem'> = defineError({
  reason: 'ORT_MODEL_REJECTED',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The model cannot be loaded: ${problem}`,
});

/** A run failed inside ONNX Runtime; the session goes on. */
export const RunFailed: ErrorType<'problem'> = defineError({
  reason: 'ORT_RUN_FAILED',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The model could not run on these inputs: ${problem}`,
});

/** A tensor given to a run is not whole. */
export const TensorInvalid: ErrorType<'name' | 'problem'> = defineError({
  reason: 'ORT_TENSOR_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ name, problem }) => `Tensor '${name}' cannot be used: ${problem}.`,
});

/** The child process ended under a run; a new one is started by itself. */
export const ChildExited: ErrorType<'how'> = defineError({
  reason: 'ORT_CHILD_EXITED',
  code: Code.UNAVAILABLE,
  message: ({ how }) =>
    `The process that runs the model ended (${how}); it is started again by itself, so try again.`,
});

/** The native library is not there or does not load. */
export const RuntimeMissing: ErrorType<'problem'> = defineError({
  reason: 'ORT_RUNTIME_MISSING',
  code: Code.FAILED_PRECONDITION,
  message: ({ problem }) =>
    `ONNX Runtime does not start: ${problem} Install it again with 'npm install onnxruntime-node'.`,
});

/** A run or a start took longer than it may; the child process was killed. */
export const TimedOut: ErrorType<'timeoutMs'> = defineError({
  reason: 'ORT_TIMED_OUT',
  code: Code.DEADLINE_EXCEEDED,
  message: ({ timeoutMs }) =>
    `The model did not answer within ${timeoutMs} ms; give it more time or smaller inputs.`,
});

/** The caller gave up. */
export const Cancelled: ErrorType = defineError({
  reason: 'ORT_CANCELLED',
  code: Code.CANCELLED,
  message: () => 'The run was cancelled by its caller.',
});

/** Too many runs wait. */
export const QueueFull: ErrorType<'limit'> = defineError({
  reason: 'ORT_QUEUE_FULL',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ limit }) =>
    `${limit} runs wait already; try again later or open the session with more instances.`,
});

/** The session was closed. */
export const SessionClosed: ErrorType = defineError({
  reason: 'ORT_SESSION_CLOSED',
  code: Code.UNAVAILABLE,
  message: () => 'The session is closed; open the model again.',
});
