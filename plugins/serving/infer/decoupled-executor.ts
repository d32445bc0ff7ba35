import type { OrtTensors } from 'lamella/sdk/ort';
import type { InferParameter } from 'lamella/proto/inference/grpc_inference_service';
import type { BackendModel, BackendRun } from './backend-model.ts';
import { BackendUnavailable, decoupled, QueueFull } from './errors.ts';
import type { Execution, ExecutionRequest, Executor, OnRun } from './executor.ts';
import type { InferCall } from './infer-call.ts';
import type { ModelShape } from './model-shape.ts';

/** What decoupled models are run by. */
export interface DecoupledExecutorParts {
  /** Name, version, inputs and outputs. */
  readonly shape: ModelShape;
  /** The open model; closed with it. */
  readonly model: BackendModel;
  /** Name of its backend, for messages. */
  readonly backend: string;
  /** Requests that may be under way at once. */
  readonly limit: number;
  /** Longest silence between two answers, in milliseconds. */
  readonly silenceMs: number;
}

/** Passes the requests of a decoupled model on to its backend, one by one, and the answers back as they come. */
export class DecoupledExecutor implements Executor {
  readonly waiting: number = 0;
  readonly pids: readonly number[] = [];
  readonly #parts: DecoupledExecutorParts;
  readonly #onRun: OnRun;
  readonly #idleWaiters: (() => void)[] = [];
  #underWay = 0;

  constructor(parts: DecoupledExecutorParts, onRun: OnRun) {
    this.#parts = parts;
    this.#onRun = onRun;
  }

  execute(): Promise<Execution> {
    return Promise.reject(decoupled('ModelInfer RPC'));
  }

  async *stream(request: ExecutionRequest): AsyncGenerator<OrtTensors> {
    const { shape, limit } = this.#parts;
    if (this.#underWay >= limit) {
      throw new QueueFull({ model: shape.name, limit: String(limit) }, { retryAfterMs: 100 });
    }
    this.#underWay += 1;
    const startMs = performance.now();
    try {
      yield* this.#answers(request);
      this.#onRun(request.rows, { inputMs: 0, runMs: performance.now() - startMs, outputMs: 0 });
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
    }
  }

  async close(): Promise<void> {
    while (this.#underWay > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    await this.#parts.model.close();
  }

  async *#answers({ tensors, call, cancelError }: ExecutionRequest): AsyncGenerator<OrtTensors> {
    const { model, shape, backend, silenceMs } = this.#parts;
    const controller = new AbortController();
    const cancel = (): void => controller.abort(cancelError());
    call.cancellation.subscribe(cancel);
    const run = { shape, outputs: call.outputs.map(({ name }) => name), parameters: parametersOf(call) };
    const answers = model.stream(tensors, run, { signal: controller.signal, ...timeoutOf(call) });
    try {
      for (;;) {
        const timer = setTimeout(() => controller.abort(silent(backend, silenceMs)), silenceMs);
        const next = await answers.next().finally(() => clearTimeout(timer));
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      call.cancellation.unsubscribe?.(cancel);
      await answers.return(undefined);
    }
  }
}

function silent(backend: string, silenceMs: number): Error {
  const problem = `it gave no answer for ${silenceMs} ms, which is runTimeoutMs`;
  return new BackendUnavailable({ backend, problem });
}

function timeoutOf({ deadlineMs }: InferCall): { readonly timeoutMs?: number } {
  return deadlineMs === undefined ? {} : { timeoutMs: Math.max(0, deadlineMs - Date.now()) };
}

const MAX_INT64 = 2n ** 63n - 1n;

function parametersOf({ parameters = {} }: InferCall): NonNullable<BackendRun['parameters']> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      value === undefined ? {} : { parameterChoice: choiceOf(value) },
    ]),
  );
}

function choiceOf(value: boolean | bigint | number | string): InferParameter['parameterChoice'] {
  switch (typeof value) {
    case 'boolean':
      return { case: 'boolParam', value };
    case 'bigint':
      return { case: value > MAX_INT64 ? 'uint64Param' : 'int64Param', value };
    case 'number':
      return Number.isSafeInteger(value)
        ? { case: 'int64Param', value: BigInt(value) }
        : { case: 'doubleParam', value };
    default:
      return { case: 'stringParam', value };
  }
}
