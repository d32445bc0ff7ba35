import type { OrtPort } from 'lamella/sdk/ort';
import type { ModelConfig, ModelInput, ModelOutput } from 'lamella/proto/inference/model_config';
import { datatypeOfConfig } from './datatype.ts';

/** An input or output as callers see it. */
export interface ModelPort extends OrtPort {
  /** Sizes that the model itself sees, without the batch; `undefined` when they are the same. */
  readonly reshape?: readonly number[] | undefined;
}

/** What requests are checked against. */
export interface ModelShape {
  /** Name by which callers ask for it. */
  readonly name: string;
  /** Version number in text. */
  readonly version: string;
  /** Inputs by name, in the order of the configuration. */
  readonly inputs: ReadonlyMap<string, ModelPort>;
  /** Outputs by name, in the order of the configuration. */
  readonly outputs: ReadonlyMap<string, ModelPort>;
  /** True when the first dimension of every input and output is the batch: rows of callers may be joined. */
  readonly batchable: boolean;
  /** Rows of one run at the most. */
  readonly maxBatchRows: number;
}

/** Describes a version of a model by its completed configuration. */
export function modelShape(config: ModelConfig, version: string): ModelShape {
  const batchable = config.maxBatchSize > 0;
  const port = ({ name, dataType, dims, reshape }: ModelInput | ModelOutput): [string, ModelPort] => [
    name,
    {
      name,
      type: datatypeOfConfig(dataType).element,
      dims: [...(batchable ? [-1] : []), ...dims.map(Number)],
      reshape: reshape?.shape.map(Number),
    },
  ];
  return {
    name: config.name,
    version,
    inputs: new Map(config.input.map(port)),
    outputs: new Map(config.output.map(port)),
    batchable,
    maxBatchRows: Math.max(1, config.maxBatchSize),
  };
}

/**
 * Dimensions of a tensor on the other side of a reshape: the batch stays, variable sizes are taken over in their order.
 *
 * @param dims - Dimensions of the tensor as it is.
 * @param from - How this side is declared, without the batch.
 * @param to - How the other side is declared, without the batch.
 */
export function reshapedDims(
  dims: readonly number[],
  { from, to, batchable }: { from: readonly number[]; to: readonly number[]; batchable: boolean },
): number[] {
  const rest = batchable ? dims.slice(1) : dims;
  const open = rest.filter((_size, axis) => from[axis] === -1);
  const sizes = to.map((size) => (size === -1 ? (open.shift() ?? 1) : size));
  return batchable ? [dims[0] ?? 0, ...sizes] : sizes;
}
