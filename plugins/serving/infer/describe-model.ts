import type { MessageInitShape } from '@bufbuild/protobuf';
import type { OrtPort } from 'lamella/sdk/ort';
import type { ModelMetadataResponseSchema } from 'lamella/proto/inference/grpc_inference_service';
import { datatypeOf } from './datatype.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Extensions of the protocol that are always there, in Triton's order. */
const EXTENSIONS: readonly string[] = [
  'classification',
  'sequence',
  'model_repository',
  'model_repository(unload_dependents)',
  'schedule_policy',
  'model_configuration',
  'binary_tensor_data',
  'statistics',
  'trace',
  'logging',
];

/** Extensions of the protocol that this server has. */
export function extensionsOf(memory: SharedMemory): string[] {
  return memory.isAllowed ? [...EXTENSIONS, 'system_shared_memory'] : [...EXTENSIONS];
}

/** Metadata of a model, of which those versions are loaded. */
export function describeMetadata(
  model: LoadedModel,
  versions: readonly string[],
): MessageInitShape<typeof ModelMetadataResponseSchema> {
  const { name, inputs, outputs } = model.shape;
  const tensor = (port: OrtPort): { name: string; datatype: string; shape: bigint[] } => ({
    name: port.name,
    datatype: datatypeOf(port.type).name,
    shape: port.dims.map(BigInt),
  });
  return {
    name,
    versions: [...versions],
    platform: model.config.platform,
    inputs: [...inputs.values()].map(tensor),
    outputs: [...outputs.values()].map(tensor),
  };
}
