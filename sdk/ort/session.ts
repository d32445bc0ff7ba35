import type { SlotOptions } from './ort-slot.ts';
import type { OrtPort, OrtTensors } from './tensor.ts';

/** How a model is opened. */
export interface OrtSessionOptions extends SlotOptions {
  /**
   * ONNX file, IR version 13 and opset 28 at the most with ONNX Runtime 1.30. It is kept to open it again in a new child,
   * and must not change.
   */
  readonly model: Uint8Array;
  /** Child processes, each with its own session; as many runs go on at once. Default 1. */
  readonly instances?: number;
  /** Threads of one operator; default 1, because small models get slower with more. Training of big models may want more. */
  readonly intraOpThreads?: number;
  /** Execution providers in order of preference; default `['cpu']`. */
  readonly executionProviders?: readonly string[];
  /** Resident memory above which a child is replaced after its run, in MiB; default none. */
  readonly memoryLimitMib?: number;
  /** Runs that may wait; further ones are refused. Default 10,000. */
  readonly queueLimit?: number;
  /** Time for the start of a child and the load of the model, in milliseconds; default 120,000. */
  readonly openTimeoutMs?: number;
}

/** How one run is limited. */
export interface OrtRunOptions {
  /**
   * Cancels the run. One that waits is dropped; one that is under way is stopped by killing its child, which costs a new
   * process and a new load of the model, so give it for runs that take seconds and not for those that take milliseconds.
   */
  readonly signal?: AbortSignal;
  /** Longest time of the run itself, waiting not counted, in milliseconds; then its child is killed. Default none. */
  readonly timeoutMs?: number;
}

/** A model that can be run; made by `openSession`. */
export interface OrtSession {
  /** Inputs in the order of the graph. */
  readonly inputs: readonly OrtPort[];
  /** Outputs in the order of the graph. */
  readonly outputs: readonly OrtPort[];
  /** Child processes. */
  readonly instances: number;
  /** Process ids of the children that live now. */
  readonly pids: readonly number[];
  /**
   * Runs the model once, on a free child or else in the order of arrival.
   *
   * @remarks Arrays of `feeds` are not copied in this process and must not change until the promise settles. Arrays of the
   * outputs are views over one buffer of the run and belong to the caller.
   * @throws ORT_TENSOR_INVALID for a tensor that is not whole; ORT_RUN_FAILED when ONNX Runtime refuses the inputs;
   * ORT_CHILD_EXITED when the child ended under this run; ORT_TIMED_OUT; ORT_CANCELLED; ORT_QUEUE_FULL;
   * ORT_SESSION_CLOSED.
   */
  run(feeds: OrtTensors, options?: OrtRunOptions): Promise<OrtTensors>;
  /** Lets runs that are under way end, refuses those that wait, then ends the children. */
  close(): Promise<void>;
  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
