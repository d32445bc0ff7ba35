import type { MessageInitShape } from '@bufbuild/protobuf';
import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import type { SampleTensorSchema } from 'lamella/proto/lamella/serving/v1/sample_service';
import { datatypeOf } from './datatype.ts';
import { rawContents } from './grpc-tensors.ts';
import type { ModelPort } from './model-shape.ts';

type TensorInit = MessageInitShape<typeof SampleTensorSchema>;

/** Copies of tensors. */
export interface SampledTensors {
  readonly tensors: readonly TensorInit[];
  /** Bytes of their values. */
  readonly sizeBytes: number;
}

/** How tensors are copied. */
export interface SampleTensorOptions {
  /** What the model says of them. */
  readonly ports: ReadonlyMap<string, ModelPort>;
  /** Tensors whose values are left out. */
  readonly redacted: ReadonlySet<string>;
  /** Bytes that there is room for. */
  readonly room: number;
  /** True when the first dimension is the rows of the request. */
  readonly hasRows: boolean;
}

/** Copies tensors: a view would keep the whole message in memory that a request came in. */
export function sampleTensors(
  tensors: OrtTensors,
  { ports, redacted, room, hasRows }: SampleTensorOptions,
): SampledTensors {
  let sizeBytes = 0;
  const copies = Object.entries(tensors).map(([name, tensor]): TensorInit => {
    const isWanted = !redacted.has(name) && sizeBytes + leastBytes(tensor) <= room;
    const contents = isWanted ? rawContents(tensor) : undefined;
    const isLeftOut = contents === undefined || sizeBytes + contents.byteLength > room;
    if (!isLeftOut) sizeBytes += contents.byteLength;
    return {
      name,
      datatype: datatypeOf(tensor.type).name,
      shape: tensor.dims.map(BigInt),
      contents: isLeftOut ? new Uint8Array() : Uint8Array.from(contents),
      isLeftOut,
      hasRows,
      isFixed: ports.get(name)?.dims.includes(-1, hasRows ? 1 : 0) === false,
    };
  });
  return { tensors: copies, sizeBytes };
}

/** Bytes that a tensor has at least: texts are not put together to find out that they are too long. */
function leastBytes({ data }: OrtTensor): number {
  return 'buffer' in data ? data.byteLength : data.reduce((sum, text) => sum + 4 + text.length, 0);
}
