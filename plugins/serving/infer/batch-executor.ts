import type { OrtTensors } from 'lamella/sdk/ort';
import { type BatchCost, costOf } from './batch-cost.ts';
import { batchKey, type BatchLayout } from './batch.ts';
import { Batcher } from './batcher.ts';
import type { Execution, ExecutionRequest, Executor, OnRun, OpenModel } from './executor.ts';
import type { ModelShape } from './model-shape.ts';
import type { QueuePolicies } from './queue-policy.ts';
import { cutOutputs, padInputs, type ShapeBuckets } from './shape-buckets.ts';

/** What independent requests are run by. */
export interface BatchExecutorParts {
  /** Name, version, inputs and outputs. */
  readonly shape: ModelShape;
  /** The open model; closed with it. */
  readonly session: OpenModel;
  /** How requests wait. */
  readonly policies: QueuePolicies;
  /** How requests of different sizes share a batch; `undefined` when they do not. */
  readonly buckets: ShapeBuckets | undefined;
  /** What bounds a run beside its rows; `undefined` when nothing does. */
  readonly cost: BatchCost | undefined;
  /** How requests of any shapes are joined; row by row where nothing is said. */
  readonly layout?: BatchLayout | undefined;
  /** Runs the model. */
  readonly run: (tensors: OrtTensors) => Promise<OrtTensors>;
  /** Called once nothing runs any more. */
  readonly end: () => void;
}

/** Runs requests that have nothing to do with each other, in batches where they fit. */
export class BatchExecutor implements Executor {
  readonly #session: OpenModel;
  readonly #batcher: Batcher;
  readonly #end: () => void;
  readonly #model: string;
  readonly #buckets: ShapeBuckets | undefined;
  readonly #layout: BatchLayout | undefined;
  readonly #cost: BatchCost | undefined;
  /** True when requests may differ in more than their rows. */
  readonly #hasOpenDims: boolean;

  constructor(parts: BatchExecutorParts, onRun: OnRun) {
    const { shape, session, policies, buckets, cost, layout, run, end } = parts;
    this.#model = shape.name;
    this.#cost = cost;
    this.#layout = layout;
    this.#session = session;
    this.#buckets = buckets;
    this.#end = end;
    this.#hasOpenDims = [...shape.inputs.values()].some(({ dims }) => dims.includes(-1, 1));
    this.#batcher = new Batcher({
      model: shape.name,
      slots: session.instances,
      policies,
      batchable: shape.batchable,
      maxBatchRows: shape.maxBatchRows,
      maxBatchCost: cost?.limit,
      layout,
      run,
      onRun,
    });
  }

  get waiting(): number {
    return this.#batcher.waiting;
  }

  get pids(): readonly number[] {
    return this.#session.pids;
  }

  execute(request: ExecutionRequest): Promise<Execution> {
    const buckets = this.#buckets;
    return buckets === undefined ? this.#submit(request.tensors, request) : this.#padded(request, buckets);
  }

  async #padded(request: ExecutionRequest, buckets: ShapeBuckets): Promise<Execution> {
    const padded = padInputs(request.tensors, buckets);
    const answer = await this.#submit(padded.tensors, request);
    return { ...answer, outputs: cutOutputs(answer.outputs, padded, buckets) };
  }

  #submit(tensors: OrtTensors, { rows, call, cancelError }: ExecutionRequest): Promise<Execution> {
    const cost = this.#cost;
    return this.#batcher.submit({
      tensors,
      rows,
      cost: cost && costOf(cost, { model: this.#model, tensors, parameters: call.parameters }),
      key: this.#keyOf(tensors),
      cancellation: call.cancellation,
      cancelError,
      deadlineMs: call.deadlineMs,
      timeoutMs: call.timeoutMs,
      priority: call.priority,
      span: call.span,
    });
  }

  #keyOf(tensors: OrtTensors): string {
    if (this.#layout !== undefined) return this.#layout.key(tensors);
    return this.#hasOpenDims ? batchKey(tensors) : '';
  }

  async close(): Promise<void> {
    await this.#batcher.drained();
    this.#end();
    await this.#session.close();
  }
}
