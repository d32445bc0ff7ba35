import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import type { ModelConfig } from 'lamella/proto/inference/model_config';
import { datatypeOf } from './datatype.ts';
import { type PlannedStep, planSteps } from './ensemble-plan.ts';
import { EnsembleProgress } from './ensemble-progress.ts';
import { QueueFull, RequestInvalid } from './errors.ts';
import type { Execution, ExecutionRequest, Executor, OnRun } from './executor.ts';
import { rawContents } from './grpc-tensors.ts';
import type { InferCall } from './infer-call.ts';
import type { InferInput } from './infer-input.ts';

/** Answers a request of one step. */
export type InferStep = (model: string, version: string, call: InferCall) => Promise<OrtTensors>;

/** What an ensemble is run by. */
export interface EnsembleExecutorParts {
  /** Completed configuration. */
  readonly config: ModelConfig;
  /** Requests that may be under way at once. */
  readonly limit: number;
  /** Calls other models. */
  readonly inferStep: InferStep;
}

/** Ensembles within ensembles. */
const DEEPEST = 8;

/** Answers requests by other models: each step runs as soon as its inputs are there, with what the caller allows. */
export class EnsembleExecutor implements Executor {
  readonly waiting: number = 0;
  readonly pids: readonly number[] = [];
  readonly #parts: EnsembleExecutorParts;
  readonly #steps: readonly PlannedStep[];
  readonly #onRun: OnRun;
  readonly #underWay: Set<Promise<unknown>> = new Set();

  constructor(parts: EnsembleExecutorParts, onRun: OnRun) {
    this.#parts = parts;
    this.#steps = planSteps(parts.config);
    this.#onRun = onRun;
  }

  execute(request: ExecutionRequest): Promise<Execution> {
    const { config, limit } = this.#parts;
    if (this.#underWay.size >= limit) {
      const error = new QueueFull({ model: config.name, limit: String(limit) }, { retryAfterMs: 100 });
      return Promise.reject(error);
    }
    const work = this.#run(request);
    const forget = (): void => void this.#underWay.delete(work);
    this.#underWay.add(work);
    work.then(forget, forget);
    return work;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  async #run({ tensors, rows, call }: ExecutionRequest): Promise<Execution> {
    const startMs = performance.now();
    const progress = new EnsembleProgress(this.#steps, tensors, call.parameters);
    let isFailed = false;
    const running = new Set<Promise<void>>();
    const startReady = (): void => {
      if (isFailed) return;
      for (const step of progress.takeReady()) {
        const work = this.#runStep(step, progress, call).then(() => {
          running.delete(work);
          startReady();
        });
        running.add(work);
      }
    };
    startReady();
    try {
      while (running.size > 0) await Promise.race(running);
    } catch (error) {
      isFailed = true;
      throw error;
    }
    const times = { inputMs: 0, runMs: performance.now() - startMs, outputMs: 0 };
    this.#onRun(rows, times);
    return { outputs: progress.tensors, queueMs: 0, times };
  }

  async #runStep(
    { step: { modelName, modelVersion, inputMap, outputMap } }: PlannedStep,
    progress: EnsembleProgress,
    call: InferCall,
  ): Promise<void> {
    const inputs = Object.entries(inputMap).map(([name, tensor]) => inputOf(name, progress.tensors[tensor]));
    const outputs = Object.keys(outputMap).map((name) => ({ name }));
    const version = modelVersion > 0n ? String(modelVersion) : '';
    const answer = await this.#parts.inferStep(modelName, version, {
      ...call,
      inputs,
      outputs,
      depth: depthOf(call),
    });
    for (const [name, tensor] of Object.entries(outputMap)) progress.settle(tensor, answer[name]);
  }
}

/** How deep in ensembles a step is. @throws REQUEST_INVALID where they must be in a circle */
function depthOf({ depth = 0 }: InferCall): number {
  if (depth < DEEPEST) return depth + 1;
  throw new RequestInvalid({
    problem: `ensembles call each other more than ${DEEPEST} deep; one calls itself`,
  });
}

function inputOf(name: string, tensor: OrtTensor | undefined): InferInput {
  if (tensor === undefined) throw new TypeError('A step starts when its inputs are there.');
  const content = 'buffer' in tensor.data ? { raw: rawContents(tensor) } : { values: tensor.data };
  return { name, datatype: datatypeOf(tensor.type).name, shape: tensor.dims, content };
}
