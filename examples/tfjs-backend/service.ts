import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImplementation } from 'lamella/sdk';
import { DataType, type ModelConfigSchema } from 'lamella/proto/inference/model_config';
import type {
  BackendTensor,
  BackendTensorSchema,
  InferenceBackendService,
} from 'lamella/proto/lamella/serving/v1/inference_backend_service';
import { ModelNotOpen, ModelUnreadable } from './errors.ts';
import { readModelFiles } from './model-files.ts';
import { type LayersModel, loadTfjs, type SymbolicTensor, type Tensor, type Tfjs } from './tfjs.ts';

/** Rows of a run where the configuration of a model says nothing. */
const DEFAULT_BATCH_ROWS = 64;

/** An inference backend for layers models of TensorFlow.js, FP32 and INT32. */
export function createTfjsBackend(models: string): ServiceImplementation<typeof InferenceBackendService> {
  const open = new Map<string, LayersModel>();
  return {
    openModel: async (requests) => {
      for await (const { part } of requests) {
        if (part.case !== 'header') continue;
        const { modelId, name, version } = part.value;
        const tfjs = await loadTfjs();
        const model = await opened(tfjs, name, await readModelFiles({ models, name, version }));
        open.get(modelId)?.dispose();
        open.set(modelId, model);
        return { config: configOf(model) };
      }
      return {};
    },
    closeModel: ({ modelId }) => {
      open.get(modelId)?.dispose();
      open.delete(modelId);
      return {};
    },
    async *runModel({ modelId, inputs }) {
      const model = open.get(modelId);
      if (model === undefined) throw new ModelNotOpen({ id: modelId });
      yield { outputs: await run(await loadTfjs(), model, inputs) };
    },
  };
}

async function opened(tfjs: Tfjs, name: string, files: object): Promise<LayersModel> {
  try {
    return await tfjs.load(files);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ModelUnreadable({ model: name, problem }, { cause: error });
  }
}

function configOf({ inputs, outputs }: LayersModel): MessageInitShape<typeof ModelConfigSchema> {
  return { maxBatchSize: DEFAULT_BATCH_ROWS, input: inputs.map(portOf), output: outputs.map(portOf) };
}

function portOf({ name, dtype, shape }: SymbolicTensor): {
  name: string;
  dataType: DataType;
  dims: bigint[];
} {
  const dataType = dtype === 'int32' ? DataType.TYPE_INT32 : DataType.TYPE_FP32;
  // The first size is the batch.
  return { name, dataType, dims: shape.slice(1).map((size) => BigInt(size ?? -1)) };
}

async function run(
  tfjs: Tfjs,
  model: LayersModel,
  inputs: readonly BackendTensor[],
): Promise<MessageInitShape<typeof BackendTensorSchema>[]> {
  const given: Tensor[] = [];
  let answers: readonly Tensor[] = [];
  try {
    for (const { name } of model.inputs) {
      const input = inputs.find((one) => one.name === name);
      if (input !== undefined) given.push(tensorOf(tfjs, input));
    }
    answers = [model.predict(given)].flat() as readonly Tensor[];
    return await Promise.all(
      model.outputs.map(async ({ name, dtype }, index) => {
        const answer = answers[index];
        const values = (await answer?.data()) ?? new Float32Array();
        const content = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        const datatype = dtype === 'int32' ? 'INT32' : 'FP32';
        return { name, datatype, shape: (answer?.shape ?? []).map(BigInt), content };
      }),
    );
  } finally {
    for (const tensor of [...given, ...answers]) tensor.dispose();
  }
}

function tensorOf(tfjs: Tfjs, { datatype, shape, content }: BackendTensor): Tensor {
  // A copy: the bytes may begin anywhere.
  const { buffer } = content.slice();
  const values = datatype === 'INT32' ? new Int32Array(buffer) : new Float32Array(buffer);
  return tfjs.tensor(values, shape.map(Number), datatype === 'INT32' ? 'int32' : 'float32');
}
