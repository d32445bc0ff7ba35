import type { OrtSession, OrtTensors } from 'lamella/sdk/ort';
import type { InferCall } from './infer-call.ts';
import type { RunTimes } from './statistics.ts';

/** Checked inputs of one request. */
export interface ExecutionRequest {
  /** Inputs, as the model takes them. */
  readonly tensors: OrtTensors;
  /** Rows of the request. */
  readonly rows: number;
  /** The request as it came. */
  readonly call: InferCall;
  /** Error for a request that nobody waits for. */
  readonly cancelError: () => Error;
}

/** What a request gets. */
export interface Execution {
  /** Outputs for its own rows, as the model gives them. */
  readonly outputs: OrtTensors;
  /** Time in the queue in milliseconds. */
  readonly queueMs: number;
  /** What its run cost. */
  readonly times: RunTimes;
  /** `traceparent` of the span of a run that served several requests, when it is traced. */
  readonly batchSpan?: string | undefined;
}

/** An open model, as far as executors need it. */
export type OpenModel = Pick<OrtSession, 'instances' | 'pids' | 'close'>;

/** Told of each run that went well. */
export type OnRun = (rows: number, times: RunTimes) => void;

/** How a model answers requests: with batches, sequence by sequence, or through other models. */
export interface Executor {
  /** Requests that wait. */
  readonly waiting: number;
  /** Processes that belong to the model. */
  readonly pids: readonly number[];
  /** Answers one request. */
  execute(request: ExecutionRequest): Promise<Execution>;
  /** Answers one request any number of times; there for decoupled models only. */
  stream?(request: ExecutionRequest): AsyncIterable<OrtTensors>;
  /** Ends once all requests are answered. */
  close(): Promise<void>;
}
