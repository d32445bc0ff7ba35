import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import { datatypeOf } from './datatype.ts';
import { rawContents } from './grpc-tensors.ts';
import type { ModelShape } from './model-shape.ts';
import type { RestInferRequest } from './rest-request.ts';
import type { SharedMemory, SharedPlace } from './shared-memory.ts';

/** Writes an answer in JSON, with tensors that were asked for as bytes after it. */
export function writeInferResponse(
  { shape: model, memory }: { readonly shape: ModelShape; readonly memory: SharedMemory },
  request: RestInferRequest,
  outputs: OrtTensors,
): Response {
  const wanted = new Map(request.outputs.map((output) => [output.name, output]));
  const tail: Uint8Array[] = [];
  const described = [...model.outputs.keys()].flatMap((name): object[] => {
    const tensor = outputs[name];
    if (tensor === undefined) return [];
    const head = { name, datatype: datatypeOf(tensor.type).name, shape: tensor.dims };
    const { place, binary = request.binaryByDefault } = wanted.get(name) ?? {};
    if (place !== undefined) return [{ ...head, parameters: writeTo(memory, place, tensor) }];
    const isBinary = tensor.type === 'float16' || binary;
    if (!isBinary) return [{ ...head, data: jsonData(tensor) }];
    const bytes = rawContents(tensor);
    tail.push(bytes);
    return [{ ...head, parameters: { binary_data_size: bytes.byteLength } }];
  });
  const text = JSON.stringify({
    model_name: model.name,
    model_version: model.version,
    ...(request.id !== undefined && { id: request.id }),
    outputs: described,
  });
  if (tail.length === 0) return new Response(text, { headers: { 'content-type': 'application/json' } });
  const json = Buffer.from(text);
  return new Response(Buffer.concat([json, ...tail]), {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(json.byteLength),
    },
  });
}

/** Puts an output where the request wants it, and tells the caller. */
function writeTo(memory: SharedMemory, place: SharedPlace, tensor: OrtTensor): object {
  const bytes = rawContents(tensor);
  memory.write(place, bytes);
  return {
    shared_memory_region: place.region,
    shared_memory_offset: place.offset,
    shared_memory_byte_size: bytes.byteLength,
  };
}

/** An answer in JSON alone, as an event carries it. */
export function inferEvent(model: ModelShape, id: string | undefined, outputs: OrtTensors): object {
  const described = [...model.outputs.keys()].flatMap((name): object[] => {
    const tensor = outputs[name];
    if (tensor === undefined) return [];
    return [{ name, datatype: datatypeOf(tensor.type).name, shape: tensor.dims, data: jsonData(tensor) }];
  });
  return {
    model_name: model.name,
    model_version: model.version,
    ...(id !== undefined && { id }),
    outputs: described,
  };
}

/** Values as JSON has them. */
export function jsonData({ type, data }: OrtTensor): unknown[] {
  const values: unknown[] = [...data];
  if (type === 'bool') return values.map((value) => value === 1);
  // JSON of the protocol has numbers; those beyond 2^53 lose their last digits, so ask for bytes to get them whole.
  return type === 'int64' || type === 'uint64' ? values.map(Number) : values;
}
