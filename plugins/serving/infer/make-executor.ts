import type { OrtSession, OrtTensors } from 'lamella/sdk/ort';
import type { ModelConfig, ModelSequenceBatching } from 'lamella/proto/inference/model_config';
import type { BatchLayout } from './batch.ts';
import { readBatchCost } from './batch-cost.ts';
import { BatchExecutor } from './batch-executor.ts';
import type { Executor, OnRun } from './executor.ts';
import type { ModelFiles } from './model-files.ts';
import type { InferConfig } from './config.ts';
import type { ModelShape } from './model-shape.ts';
import { queuePolicies } from './queue-policy.ts';
import { readSequenceInputs } from './sequence-inputs.ts';
import { SequenceExecutor } from './sequence-executor.ts';
import { readShapeBuckets } from './shape-buckets.ts';

/** What an executor is made for. */
export interface ExecutorParts {
  /** Completed configuration. */
  readonly config: ModelConfig;
  /** Name, version, inputs and outputs. */
  readonly shape: ModelShape;
  /** The open model. */
  readonly session: OrtSession;
  /** Files beside the model. */
  readonly files: ModelFiles;
  /** How requests of any shapes are joined; `undefined` where they are joined row by row. */
  readonly layout: BatchLayout | undefined;
  /** How many requests may wait. */
  readonly options: Pick<InferConfig, 'queueLimit' | 'adaptiveLimit'>;
}

/** Runs of a model, and what ends them. */
export interface ModelRuns {
  readonly run: (tensors: OrtTensors) => Promise<OrtTensors>;
  /** Called once nothing runs any more. */
  readonly end: () => void;
}

/** Microseconds after which a silent sequence is forgotten, where a configuration says nothing; Triton's default. */
const DEFAULT_IDLE_MICROSECONDS = 1_000_000n;

/** Prepares what answers the requests of a model, by its scheduling. @throws MODEL_LOAD_FAILED */
export async function prepareExecutor(
  parts: ExecutorParts,
): Promise<(runs: ModelRuns, onRun: OnRun) => Executor> {
  const { config, shape, session, files, layout, options } = parts;
  const { schedulingChoice } = config;
  if (schedulingChoice.case === 'sequenceBatching') {
    const inputs = await readSequenceInputs(config, session, files);
    const limits = sequenceLimits(schedulingChoice.value, session.instances * shape.maxBatchRows);
    return (runs, onRun) =>
      new SequenceExecutor(
        { shape, session, inputs, ...limits, queueLimit: options.queueLimit, ...runs },
        onRun,
      );
  }
  const policies = queuePolicies(config, options);
  const buckets = readShapeBuckets(config);
  const cost = readBatchCost(config);
  return (runs, onRun) =>
    new BatchExecutor({ shape, session, policies, buckets, cost, layout, ...runs }, onRun);
}

function sequenceLimits(
  { maxSequenceIdleMicroseconds: idle, strategyChoice }: ModelSequenceBatching,
  slots: number,
): { maxSequences: number; maxIdleMs: number; maxDelayMs: number } {
  const candidates = strategyChoice.case === 'oldest' ? strategyChoice.value.maxCandidateSequences : 0;
  const delay = strategyChoice.value?.maxQueueDelayMicroseconds ?? 0n;
  return {
    maxSequences: candidates > 0 ? candidates : slots,
    maxIdleMs: Math.min(Number(idle === 0n ? DEFAULT_IDLE_MICROSECONDS : idle) / 1_000, 2 ** 31 - 1),
    maxDelayMs: Math.min(Number(delay) / 1_000, 2 ** 31 - 1),
  };
}
