import type { MessageInitShape } from '@bufbuild/protobuf';
import { elementsOf, numberView, type OrtTensor, type OrtTensors } from 'lamella/sdk/ort';
import type {
  BackendTensor,
  BackendTensorSchema,
} from 'lamella/proto/lamella/serving/v1/inference_backend_service';
import { readBytesTensor } from './bytes-tensor.ts';
import { datatypeOf } from './datatype.ts';
import { BackendFailed } from './errors.ts';
import { rawContents } from './grpc-tensors.ts';
import { shapeFits } from './infer-input.ts';
import type { ModelShape } from './model-shape.ts';

/** Tensors as a backend gets them; numbers are not copied. */
export function toBackendTensors(tensors: OrtTensors): MessageInitShape<typeof BackendTensorSchema>[] {
  return Object.entries(tensors).map(([name, tensor]) => ({
    name,
    datatype: datatypeOf(tensor.type).name,
    shape: tensor.dims.map(BigInt),
    content: rawContents(tensor),
  }));
}

/** What a backend's answer must have. */
export interface AnswerRules {
  /** The model. */
  readonly shape: ModelShape;
  /** Name of the backend, for messages. */
  readonly backend: string;
  /** True when all outputs must be there. */
  readonly isWhole: boolean;
}

/** Reads and checks outputs that a backend gave: callers rely on what the configuration says. @throws BACKEND_FAILED */
export function fromBackendTensors(outputs: readonly BackendTensor[], rules: AnswerRules): OrtTensors {
  const tensors: Record<string, OrtTensor> = {};
  for (const output of outputs) {
    if (Object.hasOwn(tensors, output.name)) throw wrong(rules, `gave output '${output.name}' twice`);
    tensors[output.name] = readOutput(output, rules);
  }
  const missing = rules.isWhole
    ? [...rules.shape.outputs.keys()].find((name) => !Object.hasOwn(tensors, name))
    : undefined;
  if (missing !== undefined) throw wrong(rules, `did not give output '${missing}'`);
  return tensors;
}

function readOutput({ name, datatype, shape, content }: BackendTensor, rules: AnswerRules): OrtTensor {
  const port = rules.shape.outputs.get(name);
  if (port === undefined) throw wrong(rules, `gave '${name}', which is no output of the configuration`);
  const { name: expected, element, sizeBytes } = datatypeOf(port.type);
  if (datatype !== expected)
    throw wrong(rules, `gave output '${name}' as ${datatype} instead of ${expected}`);
  const dims = shape.map(Number);
  if (!shapeFits(dims, port.dims)) {
    throw wrong(
      rules,
      `gave output '${name}' of the shape [${dims.join(',')}] instead of [${port.dims.join(',')}]`,
    );
  }
  const data = sizeBytes === 0 ? readTexts(name, content, rules) : content;
  const count = 'buffer' in data ? data.byteLength / sizeBytes : data.length;
  if (count !== elementsOf(dims)) {
    throw wrong(rules, `gave ${count} elements as output '${name}' of the shape [${dims.join(',')}]`);
  }
  return { type: element, dims, data: 'buffer' in data ? numberView(element, data) : data };
}

function readTexts(name: string, content: Uint8Array, rules: AnswerRules): readonly string[] {
  try {
    return readBytesTensor(content, name);
  } catch (error) {
    throw wrong(rules, `gave output '${name}' with elements that are no whole texts`, error);
  }
}

function wrong({ backend, shape: { name } }: AnswerRules, problem: string, cause?: unknown): Error {
  return new BackendFailed({ backend, problem: `it ${problem} for '${name}'` }, { cause });
}
