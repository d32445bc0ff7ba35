import { setTimeout as wait } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImplementation } from 'lamella/sdk';
import { DataType, type ModelConfigSchema } from 'lamella/proto/inference/model_config';
import type {
  BackendTensor,
  BackendTensorSchema,
  InferenceBackendService,
} from 'lamella/proto/lamella/serving/v1/inference_backend_service';
import { InputInvalid, ModelNotOpen } from './errors.ts';

const LONGEST_DELAY_MS = 60_000;

/** Every model of this backend is the same: values IN and delays DELAY in milliseconds go in, OUT and IDX come one by one. */
const MODEL: MessageInitShape<typeof ModelConfigSchema> = {
  input: [
    port('IN', DataType.TYPE_INT32, -1n),
    port('DELAY', DataType.TYPE_UINT32, -1n),
    port('WAIT', DataType.TYPE_UINT32, 1n),
  ],
  output: [port('OUT', DataType.TYPE_INT32, 1n), port('IDX', DataType.TYPE_UINT32, 1n)],
  modelTransactionPolicy: { decoupled: true },
};

/** An inference backend whose models are decoupled; WAIT is taken and has no effect. */
export function createRepeatBackend(): ServiceImplementation<typeof InferenceBackendService> {
  const open = new Set<string>();
  return {
    openModel: async (requests) => {
      for await (const { part } of requests) if (part.case === 'header') open.add(part.value.modelId);
      return { config: MODEL };
    },
    closeModel: ({ modelId }) => {
      open.delete(modelId);
      return {};
    },
    async *runModel({ modelId, inputs }, { signal }) {
      if (!open.has(modelId)) throw new ModelNotOpen({ id: modelId });
      const values = numbers(inputs, 'IN');
      const delays = numbers(inputs, 'DELAY');
      if (values.length !== delays.length)
        throw new InputInvalid({ problem: 'IN and DELAY must have as many values as each other' });
      for (const [index, value] of values.entries()) {
        await wait(Math.min(delays[index] ?? 0, LONGEST_DELAY_MS), undefined, { signal });
        yield { outputs: [output('OUT', 'INT32', value), output('IDX', 'UINT32', index)] };
      }
    },
  };
}

function port(
  name: string,
  dataType: DataType,
  size: bigint,
): { name: string; dataType: DataType; dims: bigint[] } {
  return { name, dataType, dims: [size] };
}

/** The 32-bit values of an input. */
function numbers(inputs: readonly BackendTensor[], name: string): number[] {
  const content = inputs.find((input) => input.name === name)?.content ?? new Uint8Array();
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  return Array.from({ length: content.byteLength / 4 }, (_, index) => view.getInt32(index * 4, true));
}

function output(name: string, datatype: string, value: number): MessageInitShape<typeof BackendTensorSchema> {
  return { name, datatype, shape: [1n], content: new Uint8Array(Int32Array.of(value).buffer) };
}
