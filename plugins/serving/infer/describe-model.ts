import type { MessageInitShape } from '@bufbuild/protobuf';
import type { OrtPort } from 'lamella/sdk/ort';
import type { ModelMetadataResponseSchema } from 'lamella/proto/inference/grpc_inference_service';
import {
  type DataType,
  type ModelConfigSchema,
  ModelInstanceGroup_Kind,
} from 'lamella/proto/inference/model_config';
import { datatypeOf } from './datatype.ts';
import type { LoadedModel } from './loaded-model.ts';

/** Platform of every model here, as Triton calls it. */
export const PLATFORM: string = 'onnxruntime_onnx';

/** Extensions of the protocol that this server has, in Triton's order. */
export const EXTENSIONS: readonly string[] = [
  'classification',
  'model_repository',
  'schedule_policy',
  'model_configuration',
  'binary_tensor_data',
  'statistics',
];

/** Metadata of a model. */
export function describeMetadata(model: LoadedModel): MessageInitShape<typeof ModelMetadataResponseSchema> {
  const { name, version, inputs, outputs } = model.shape;
  const tensor = (port: OrtPort): { name: string; datatype: string; shape: bigint[] } => ({
    name: port.name,
    datatype: datatypeOf(port.type).name,
    shape: port.dims.map(BigInt),
  });
  return {
    name,
    versions: [version],
    platform: PLATFORM,
    inputs: [...inputs.values()].map(tensor),
    outputs: [...outputs.values()].map(tensor),
  };
}

/** Configuration of a model as Triton would complete it from the ONNX file. */
export function describeConfig(model: LoadedModel): MessageInitShape<typeof ModelConfigSchema> {
  const { name, version, inputs, outputs, batchable, maxBatchRows } = model.shape;
  const port = ({
    name: portName,
    type,
    dims,
  }: OrtPort): { name: string; dataType: DataType; dims: bigint[] } => ({
    name: portName,
    dataType: datatypeOf(type).configType,
    // Triton leaves the batch out of the dimensions of a model that batches.
    dims: (batchable ? dims.slice(1) : dims).map(BigInt),
  });
  return {
    name,
    platform: PLATFORM,
    backend: 'onnxruntime',
    defaultModelFilename: 'model.onnx',
    maxBatchSize: batchable ? maxBatchRows : 0,
    versionPolicy: { policyChoice: { case: 'specific', value: { versions: [BigInt(version)] } } },
    input: [...inputs.values()].map(port),
    output: [...outputs.values()].map(port),
    instanceGroup: [{ name: `${name}_0`, count: model.instances, kind: ModelInstanceGroup_Kind.CPU }],
    ...(batchable && { schedulingChoice: { case: 'dynamicBatching' as const, value: {} } }),
  };
}
