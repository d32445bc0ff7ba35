import type { MessageInitShape } from '@bufbuild/protobuf';
import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import type {
  InferParameter,
  InferTensorContents,
  ModelInferRequest,
  ModelInferResponse_InferOutputTensorSchema,
  ModelInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { writeBytesTensor } from './bytes-tensor.ts';
import { readClasses, type WantedOutput } from './classification.ts';
import { datatypeOf } from './datatype.ts';
import { DecodedInput, PackedContents } from './decoded-request.ts';
import { RequestInvalid } from './errors.ts';
import type { InferInput } from './infer-input.ts';
import type { ModelShape } from './model-shape.ts';
import { readSharedPlace, type SharedMemory, type SharedPlace } from './shared-memory.ts';
import type { TypedValues } from './typed-values.ts';

/**
 * Inputs of a gRPC request; raw contents stay views of the message. Inputs in shared memory have none.
 *
 * @throws REQUEST_INVALID as Triton does; METHOD_UNSUPPORTED for shared memory where it is not allowed
 */
export function grpcInputs(request: ModelInferRequest, memory: SharedMemory): InferInput[] {
  const { inputs, rawInputContents: raw, modelName } = request;
  const places = inputs.map(({ name, parameters }) => readSharedPlace(parameters, name));
  let expected = 0;
  for (const place of places) if (place === undefined) expected += 1;
  if (raw.length > 0 && raw.length !== expected) {
    throw new RequestInvalid({
      problem: `expected ${expected} raw input contents but got ${raw.length} for model '${modelName}'`,
    });
  }
  let next = 0;
  return inputs.map((input, index) => {
    const { name, datatype, contents } = input;
    const shape = input instanceof DecodedInput ? input.dims : input.shape.map(Number);
    const place = places[index];
    const bytes = place === undefined ? raw[next] : memory.read(place);
    if (place === undefined) next += 1;
    if (bytes !== undefined && contents !== undefined) {
      throw new RequestInvalid({
        problem: `contents field must not be specified when using raw_input_contents for '${name}' for model '${modelName}'`,
      });
    }
    const content =
      bytes === undefined
        ? { values: typedContents(contents, { name, datatype, modelName }) }
        : { raw: bytes };
    return { name, datatype, shape, content };
  });
}

/** An output that a gRPC request names. */
export interface GrpcOutput extends WantedOutput {
  /** Where in shared memory it goes; `undefined` for the answer. */
  readonly place: SharedPlace | undefined;
}

/** Outputs that a gRPC request names. @throws REQUEST_INVALID METHOD_UNSUPPORTED */
export function grpcOutputs({ outputs }: ModelInferRequest, memory: SharedMemory): GrpcOutput[] {
  return outputs.map(({ name, parameters }) => {
    const place = readSharedPlace(parameters, name);
    // Before the model runs in vain.
    if (place !== undefined) memory.check(place);
    return { name, classes: readClasses(parameters['classification']?.parameterChoice.value, name), place };
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
  return LISTS[input.datatype]?.(contents) ?? [];
}

const LISTS: Readonly<Record<string, (contents: InferTensorContents) => TypedValues>> = {
  BOOL: ({ boolContents }) => boolContents,
  INT8: ({ intContents }) => intContents,
  INT16: ({ intContents }) => intContents,
  INT32: ({ intContents }) => intContents,
  INT64: ({ int64Contents }) => int64Contents,
  UINT8: ({ uintContents }) => uintContents,
  UINT16: ({ uintContents }) => uintContents,
  UINT32: ({ uintContents }) => uintContents,
  UINT64: ({ uint64Contents }) => uint64Contents,
  FP32: (contents) => (contents instanceof PackedContents && contents.fp32) || contents.fp32Contents,
  FP64: (contents) => (contents instanceof PackedContents && contents.fp64) || contents.fp64Contents,
  BYTES: ({ bytesContents }) => bytesContents,
};

/** Bytes of a tensor as they travel: little-endian, row-major; a view for numbers. */
export function rawContents({ data }: OrtTensor): Uint8Array {
  if (!('buffer' in data)) return writeBytesTensor(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

type OutputInit = MessageInitShape<typeof ModelInferResponse_InferOutputTensorSchema>;

/** What an answer is made of. */
export interface GrpcAnswer {
  /** Id of the request. */
  readonly id: string;
  /** Outputs of the model. */
  readonly outputs: OrtTensors;
  /** Outputs that the request names. */
  readonly wanted: readonly GrpcOutput[];
  /** Where outputs go that are wanted there. */
  readonly memory: SharedMemory;
}

/** Answer with raw contents, the only form that all clients read; empty ones for what goes to shared memory. */
export function grpcResponse(
  model: ModelShape,
  { id, outputs, wanted, memory }: GrpcAnswer,
): MessageInitShape<typeof ModelInferResponseSchema> {
  const described: OutputInit[] = [];
  const rawOutputContents: Uint8Array[] = [];
  for (const name of model.outputs.keys()) {
    const tensor = outputs[name];
    if (tensor === undefined) continue;
    const bytes = rawContents(tensor);
    const place = wanted.find((output) => output.name === name)?.place;
    const head = { name, datatype: datatypeOf(tensor.type).name, shape: tensor.dims.map(BigInt) };
    if (place === undefined) {
      described.push(head);
      rawOutputContents.push(bytes);
      continue;
    }
    memory.write(place, bytes);
    described.push({ ...head, parameters: placeParameters(place, bytes.byteLength) });
    rawOutputContents.push(new Uint8Array());
  }
  return { modelName: model.name, modelVersion: model.version, id, outputs: described, rawOutputContents };
}

function placeParameters(
  { region, offset }: SharedPlace,
  sizeBytes: number,
): Record<string, Pick<InferParameter, 'parameterChoice'>> {
  return {
    shared_memory_region: { parameterChoice: { case: 'stringParam', value: region } },
    shared_memory_offset: { parameterChoice: { case: 'int64Param', value: BigInt(offset) } },
    shared_memory_byte_size: { parameterChoice: { case: 'int64Param', value: BigInt(sizeBytes) } },
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
