import { type ModelConfig, ModelInstanceGroup_Kind } from 'lamella/proto/inference/model_config';
import type { GraphOptimization } from 'lamella/sdk/ort';
import { backendOf, isDecoupled } from './backend-config.ts';
import { ModelLoadFailed } from './errors.ts';

interface Setting {
  readonly name: string;
  readonly advice: string;
  readonly isUsed: (config: ModelConfig) => boolean;
}

/** Settings of Triton that nothing here obeys; a model that needs them would give other answers without them. */
const UNSUPPORTED: readonly Setting[] = [
  {
    name: 'a ragged batch (allow_ragged_batch, batch_input, batch_output)',
    advice: 'only ONNX models without sequences or steps have them; send such inputs with the request',
    isUsed: (config) =>
      isRagged(config) &&
      (backendOf(config.name, config) !== undefined ||
        config.schedulingChoice.case === 'sequenceBatching' ||
        config.schedulingChoice.case === 'ensembleScheduling'),
  },
  {
    name: 'optional',
    advice: 'give the input a default in the graph',
    isUsed: ({ input }) => input.some(({ optional }) => optional),
  },
  {
    name: 'is_shape_tensor',
    advice: 'it belongs to TensorRT',
    isUsed: ({ input, output }) => [...input, ...output].some(({ isShapeTensor }) => isShapeTensor),
  },
  {
    name: 'model_operations',
    advice: 'use the operators of ONNX',
    isUsed: ({ modelOperations }) => (modelOperations?.opLibraryFilename.length ?? 0) > 0,
  },
  {
    name: 'model_repository_agents',
    advice: 'prepare the files before they are loaded',
    isUsed: ({ modelRepositoryAgents }) => (modelRepositoryAgents?.agents.length ?? 0) > 0,
  },
  {
    name: 'several gpus',
    advice: 'leave gpus out; the first one is used',
    isUsed: ({ instanceGroup }) => instanceGroup.some(({ gpus }) => gpus.length > 1 || (gpus[0] ?? 0) !== 0),
  },
  {
    name: 'iterative_sequence',
    advice:
      'a model in ONNX cannot say that it has to run again; let the caller send the requests of a sequence, or use a ' +
      'decoupled model of a backend',
    isUsed: ({ schedulingChoice }) =>
      schedulingChoice.case === 'sequenceBatching' && schedulingChoice.value.iterativeSequence,
  },
  {
    name: 'decoupled',
    advice: 'a model in ONNX gives one answer to a request',
    isUsed: (config) =>
      isDecoupled(config) &&
      (config.schedulingChoice.case === 'ensembleScheduling' || backendOf(config.name, config) === undefined),
  },
];

function isRagged({ input, batchInput, batchOutput }: ModelConfig): boolean {
  return input.some(({ allowRaggedBatch }) => allowRaggedBatch) || batchInput.length + batchOutput.length > 0;
}

/** Refuses what would be passed over. @throws MODEL_LOAD_FAILED naming the settings and what to do instead */
export function assertSupported(model: string, config: ModelConfig | undefined): void {
  if (config === undefined) return;
  if (config.name !== '' && config.name !== model) {
    const problem = `its configuration is for a model named '${config.name}'; both names must be the same`;
    throw new ModelLoadFailed({ model, problem });
  }
  const used = UNSUPPORTED.filter(({ isUsed }) => isUsed(config));
  if (used.length === 0) return;
  const problem = used.map(({ name, advice }) => `${name} is not supported (${advice})`).join('; ');
  throw new ModelLoadFailed({ model, problem });
}

/** How a configuration wants its sessions. */
export interface SessionSettings {
  /** Child processes. */
  readonly instances?: number;
  /** Execution providers in order of preference. */
  readonly executionProviders?: readonly string[];
  /** Threads of one operator. */
  readonly intraOpThreads?: number;
  /** How far the graph is rewritten. */
  readonly graphOptimization?: GraphOptimization;
}

/** Levels of Triton's ONNX Runtime backend. */
const GRAPH_LEVELS: Readonly<Record<number, GraphOptimization>> = {
  [-1]: 'basic',
  1: 'extended',
  2: 'disabled',
};
const MOST_INSTANCES = 64;

/** Reads what a configuration says about sessions; nothing where it says nothing. @throws MODEL_LOAD_FAILED */
export function sessionSettings(model: string, config: ModelConfig | undefined): SessionSettings {
  if (config === undefined) return {};
  const instances = instancesOf(model, config);
  const executionProviders = providersOf(config);
  const intraOpThreads = threadsOf(model, config);
  const graphOptimization = GRAPH_LEVELS[config.optimization?.graph?.level ?? 0];
  return {
    ...(instances > 0 && { instances }),
    ...(executionProviders.length > 0 && { executionProviders }),
    ...(intraOpThreads > 0 && { intraOpThreads }),
    ...(graphOptimization !== undefined && { graphOptimization }),
  };
}

function instancesOf(model: string, { instanceGroup }: ModelConfig): number {
  const groups = instanceGroup.filter(({ passive }) => !passive);
  const instances = groups.reduce((sum, { count }) => sum + Math.max(1, count), 0);
  if (instances <= MOST_INSTANCES) return instances;
  throw new ModelLoadFailed({ model, problem: `instance_group wants more than ${MOST_INSTANCES} instances` });
}

function providersOf({ optimization, instanceGroup }: ModelConfig): string[] {
  const accelerators = optimization?.executionAccelerators?.gpuExecutionAccelerator ?? [];
  const isOnGpu = instanceGroup.some(({ kind, passive }) => kind === ModelInstanceGroup_Kind.GPU && !passive);
  return [...new Set([...accelerators.map(({ name }) => name), ...(isOnGpu ? ['cuda'] : [])])];
}

function threadsOf(model: string, { parameters }: ModelConfig): number {
  const threads = Number(parameters['intra_op_thread_count']?.stringValue ?? 0);
  if (Number.isInteger(threads) && threads >= 0 && threads <= 256) return threads;
  const problem = "parameter 'intra_op_thread_count' must be a number from 0 to 256";
  throw new ModelLoadFailed({ model, problem });
}
