import type { MessageInitShape } from '@bufbuild/protobuf';
import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import type {
  InferParameter,
  InferTensorContents,
  ModelInferRequest,
  ModelInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { writeBytesTensor } from './bytes-tensor.ts';
import { readClasses, type WantedOutput } from './classification.ts';
import { datatypeOf } from './datatype.ts';
import { RequestInvalid } from './errors.ts';
import type { InferInput } from './infer-input.ts';
import type { ModelShape } from './model-shape.ts';
import type { TypedValues } from './typed-values.ts';

/** Inputs of a gRPC request; raw contents stay views of the message. @throws REQUEST_INVALID as Triton does. */
export function grpcInputs(request: ModelInferRequest): InferInput[] {
  const { inputs, rawInputContents: raw, modelName } = request;
  if (raw.length > 0 && raw.length !== inputs.length) {
    throw new RequestInvalid({
      problem: `expected ${inputs.length} raw input contents but got ${raw.length} for model '${modelName}'`,
    });
  }
  return inputs.map(({ name, datatype, shape, contents, parameters }, index) => {
    if ('shared_memory_region' in parameters) {
      throw new RequestInvalid({
        problem: `input '${name}' for model '${modelName}' is in shared memory, which this server does not have; send its bytes`,
      });
    }
    const bytes = raw[index];
    if (bytes !== undefined && contents !== undefined) {
      throw new RequestInvalid({
        problem: `contents field must not be specified when using raw_input_contents for '${name}' for model '${modelName}'`,
      });
    }
    const content =
      bytes === undefined
        ? { values: typedContents(contents, { name, datatype, modelName }) }
        : { raw: bytes };
    return { name, datatype, shape: shape.map(Number), content };
  });
}

/** Outputs that a gRPC request names. @throws REQUEST_INVALID */
export function grpcOutputs({ outputs, modelName }: ModelInferRequest): WantedOutput[] {
  return outputs.map(({ name, parameters }) => {
    if ('shared_memory_region' in parameters) {
      throw new RequestInvalid({
        problem: `output '${name}' of model '${modelName}' is wanted in shared memory, which this server does not have; read its bytes`,
      });
    }
    return { name, classes: readClasses(parameters['classification']?.parameterChoice.value, name) };
  });
}

/** The list that holds the values of a data type. */
function typedContents(
  contents: InferTensorContents | undefined,
  input: { readonly name: string; readonly datatype: string; readonly modelName: string },
): TypedValues {
  if (contents === undefined) {
    const problem = `unable to find data for input tensor '${input.name}' for model '${input.modelName}' in request.`;
    throw new RequestInvalid({ problem });
  }
  const lists: Readonly<Record<string, TypedValues>> = {
    BOOL: contents.boolContents,
    INT8: contents.intContents,
    INT16: contents.intContents,
    INT32: contents.intContents,
    INT64: contents.int64Contents,
    UINT8: contents.uintContents,
    UINT16: contents.uintContents,
    UINT32: contents.uintContents,
    UINT64: contents.uint64Contents,
    FP32: contents.fp32Contents,
    FP64: contents.fp64Contents,
    BYTES: contents.bytesContents,
  };
  return lists[input.datatype] ?? [];
}

/** Bytes of a tensor as they travel: little-endian, row-major; a view for numbers. */
export function rawContents({ data }: OrtTensor): Uint8Array {
  if (!('buffer' in data)) return writeBytesTensor(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Answer with raw contents, the only form that all clients read. */
export function grpcResponse(
  model: ModelShape,
  id: string,
  outputs: OrtTensors,
): MessageInitShape<typeof ModelInferResponseSchema> {
  const entries = [...model.outputs.keys()].flatMap((name) => {
    const tensor = outputs[name];
    return tensor === undefined ? [] : [{ name, tensor }];
  });
  return {
    modelName: model.name,
    modelVersion: model.version,
    id,
    outputs: entries.map(({ name, tensor }) => ({
      name,
      datatype: datatypeOf(tensor.type).name,
      shape: tensor.dims.map(BigInt),
    })),
    rawOutputContents: entries.map(({ tensor }) => rawContents(tensor)),
  };
}

/** The `timeout` parameter, given in microseconds, in milliseconds; `undefined` when there is none. */
export function timeoutParameter(parameters: Readonly<Record<string, InferParameter>>): number | undefined {
  const choice = parameters['timeout']?.parameterChoice;
  if (choice === undefined) return undefined;
  if ((choice.case !== 'int64Param' && choice.case !== 'uint64Param') || choice.value < 0n) {
    throw new RequestInvalid({
      problem: "parameter 'timeout' must be a whole number of microseconds, 0 for none",
    });
  }
  return choice.value === 0n ? undefined : Math.min(Number(choice.value) / 1_000, 2 ** 31 - 1);
}

/** The `priority` parameter; `undefined` when there is none. @throws REQUEST_INVALID */
export function priorityParameter(parameters: Readonly<Record<string, InferParameter>>): number | undefined {
  const choice = parameters['priority']?.parameterChoice;
  if (choice === undefined) return undefined;
  if ((choice.case === 'int64Param' || choice.case === 'uint64Param') && choice.value >= 0n) {
    return Number(choice.value);
  }
  throw new RequestInvalid({ problem: "parameter 'priority' must be a whole number, 0 for the default" });
}
