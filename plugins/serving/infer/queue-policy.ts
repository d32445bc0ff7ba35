import {
  type ModelConfig,
  type ModelDynamicBatching,
  type ModelQueuePolicy,
  ModelQueuePolicy_TimeoutAction,
} from 'lamella/proto/inference/model_config';
import type { InferConfig } from './config.ts';
import { ModelLoadFailed } from './errors.ts';

/** How requests of one priority wait. */
export interface QueuePolicy {
  /** Longest wait in milliseconds; 0 for no limit. */
  readonly timeoutMs: number;
  /** True when a request that waited too long goes behind those of its priority, false when it is refused. */
  readonly isDelayed: boolean;
  /** True when a request may ask for a shorter wait. */
  readonly mayOverride: boolean;
  /** Requests that may wait. */
  readonly limit: number;
}

/** How requests of a model wait. */
export interface QueuePolicies {
  /** One for each priority, highest first; at least one. */
  readonly levels: readonly QueuePolicy[];
  /** Number of the level, from 0, of requests that name none. */
  readonly defaultLevel: number;
  /** Longest wait for others to join, in milliseconds; 0 for none. */
  readonly maxDelayMs: number;
  /** True to wait for others only while that gains by what was measured; see `DelayGain`. */
  readonly isDelayMeasured: boolean;
  /** Rows at which a batch need not wait for more, ascending; empty for the largest batch only. */
  readonly preferredRows: readonly number[];
  /** True to let in fewer requests than the limits say while answers take longer than usual. */
  readonly isAdaptive: boolean;
}

const MOST_LEVELS = 100;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Reads the queue of a model from its configuration. @throws MODEL_LOAD_FAILED */
export function queuePolicies(
  config: ModelConfig,
  { queueLimit, adaptiveLimit }: Pick<InferConfig, 'queueLimit' | 'adaptiveLimit'>,
): QueuePolicies {
  const { schedulingChoice, name: model } = config;
  if (schedulingChoice.case !== 'dynamicBatching') {
    return { ...plainQueue(queueLimit), isDelayMeasured: isDelayMeasured(config), isAdaptive: adaptiveLimit };
  }
  const batching = schedulingChoice.value;
  const count = levelCount(model, batching);
  const levels = Array.from({ length: count }, (_, index) => {
    const policy = batching.priorityQueuePolicy[String(index + 1)] ?? batching.defaultQueuePolicy;
    return readPolicy(policy, queueLimit);
  });
  const { preferredBatchSize } = batching;
  const wrong = preferredBatchSize.find((rows) => rows < 1 || rows > config.maxBatchSize);
  if (wrong !== undefined) {
    const problem = `preferred_batch_size ${wrong} is not between 1 and max_batch_size ${config.maxBatchSize}`;
    throw new ModelLoadFailed({ model, problem });
  }
  return {
    levels,
    defaultLevel: Math.max(0, Number(batching.defaultPriorityLevel) - 1),
    maxDelayMs: milliseconds(batching.maxQueueDelayMicroseconds),
    isDelayMeasured: isDelayMeasured(config),
    preferredRows: preferredBatchSize.toSorted((left, right) => left - right),
    // Who sets a limit means that one.
    isAdaptive: adaptiveLimit && !isLimited(batching),
  };
}

/** A queue without priorities in which everybody may say how long to wait. */
export function plainQueue(queueLimit: number): QueuePolicies {
  const levels = [readPolicy(undefined, queueLimit)];
  return {
    levels,
    defaultLevel: 0,
    maxDelayMs: 0,
    isDelayMeasured: false,
    preferredRows: [],
    isAdaptive: false,
  };
}

/** Reads the parameter `measured_queue_delay`, which Triton does not have. @throws MODEL_LOAD_FAILED */
function isDelayMeasured({ name: model, parameters, schedulingChoice }: ModelConfig): boolean {
  const text = parameters['measured_queue_delay']?.stringValue ?? 'false';
  if (text === 'false') return false;
  const hasDelay =
    schedulingChoice.case === 'dynamicBatching' && schedulingChoice.value.maxQueueDelayMicroseconds > 0n;
  if (text === 'true' && hasDelay) return true;
  const problem =
    "parameter 'measured_queue_delay' must be true or false, and needs a max_queue_delay_microseconds above 0";
  throw new ModelLoadFailed({ model, problem });
}

function isLimited({ defaultQueuePolicy, priorityQueuePolicy }: ModelDynamicBatching): boolean {
  const policies = [defaultQueuePolicy, ...Object.values(priorityQueuePolicy)];
  return policies.some((policy) => policy !== undefined && policy.maxQueueSize > 0);
}

function levelCount(model: string, { priorityLevels, defaultPriorityLevel }: ModelDynamicBatching): number {
  if (priorityLevels === 0n) return 1;
  if (priorityLevels > MOST_LEVELS) {
    throw new ModelLoadFailed({ model, problem: `priority_levels must be ${MOST_LEVELS} or less` });
  }
  if (defaultPriorityLevel < 1n || defaultPriorityLevel > priorityLevels) {
    const problem = `default_priority_level must be between 1 and priority_levels, which is ${priorityLevels}`;
    throw new ModelLoadFailed({ model, problem });
  }
  return Number(priorityLevels);
}

function readPolicy(policy: ModelQueuePolicy | undefined, queueLimit: number): QueuePolicy {
  // Where nothing is said, a request may limit its own wait; Triton would pass over that.
  if (policy === undefined) return { timeoutMs: 0, isDelayed: false, mayOverride: true, limit: queueLimit };
  return {
    timeoutMs: milliseconds(policy.defaultTimeoutMicroseconds),
    isDelayed: policy.timeoutAction === ModelQueuePolicy_TimeoutAction.DELAY,
    mayOverride: policy.allowTimeoutOverride,
    limit: policy.maxQueueSize === 0 ? queueLimit : Math.min(policy.maxQueueSize, queueLimit),
  };
}

function milliseconds(microseconds: bigint): number {
  return Math.min(Number(microseconds) / 1_000, LONGEST_TIMER_MS);
}
