import type { OrtPort } from 'lamella/sdk/ort';

/** What requests are checked against. */
export interface ModelShape {
  /** Name by which callers ask for it. */
  readonly name: string;
  /** Version number in text. */
  readonly version: string;
  /** Inputs by name, in the order of the graph. */
  readonly inputs: ReadonlyMap<string, OrtPort>;
  /** Outputs by name, in the order of the graph. */
  readonly outputs: ReadonlyMap<string, OrtPort>;
  /** True when the first dimension of every input and output varies: it is the batch, and rows of callers may be joined. */
  readonly batchable: boolean;
  /** Rows of one run at the most. */
  readonly maxBatchRows: number;
}

/** Describes a session. */
export function modelShape(facts: {
  readonly name: string;
  readonly version: string;
  readonly inputs: readonly OrtPort[];
  readonly outputs: readonly OrtPort[];
  readonly maxBatchRows: number;
}): ModelShape {
  const ports = [...facts.inputs, ...facts.outputs];
  const batchable =
    facts.maxBatchRows > 1 && facts.inputs.length > 0 && ports.every(({ dims }) => dims[0] === -1);
  return {
    name: facts.name,
    version: facts.version,
    inputs: new Map(facts.inputs.map((port) => [port.name, port])),
    outputs: new Map(facts.outputs.map((port) => [port.name, port])),
    batchable,
    maxBatchRows: facts.maxBatchRows,
  };
}
