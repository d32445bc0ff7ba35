import type {
  InferParameter,
  InferTensorContents,
  ModelInferRequest_InferInputTensor,
} from 'lamella/proto/inference/grpc_inference_service';

/** Typed contents that came as one block: most callers never ask for the numbers one by one. */
export class PackedContents implements InferTensorContents {
  readonly $typeName = 'inference.InferTensorContents';
  readonly boolContents: boolean[] = [];
  readonly intContents: number[] = [];
  readonly int64Contents: bigint[] = [];
  readonly uintContents: number[] = [];
  readonly uint64Contents: bigint[] = [];
  readonly bytesContents: Uint8Array[] = [];
  /** Values of an FP32 tensor; `undefined` for another kind. */
  readonly fp32: Float32Array | undefined;
  /** Values of an FP64 tensor; `undefined` for another kind. */
  readonly fp64: Float64Array | undefined;

  constructor(values: Float32Array | Float64Array) {
    this.fp32 = values instanceof Float32Array ? values : undefined;
    this.fp64 = values instanceof Float64Array ? values : undefined;
  }

  get fp32Contents(): number[] {
    return [...(this.fp32 ?? [])];
  }

  get fp64Contents(): number[] {
    return [...(this.fp64 ?? [])];
  }
}

/** An input whose sizes are numbers already. */
export class DecodedInput implements ModelInferRequest_InferInputTensor {
  readonly $typeName = 'inference.ModelInferRequest.InferInputTensor';
  name: string = '';
  datatype: string = '';
  /** The same as `shape`. */
  dims: readonly number[] = [];
  readonly parameters: Record<string, InferParameter> = {};
  contents: PackedContents | undefined;

  get shape(): bigint[] {
    return this.dims.map(BigInt);
  }
}
