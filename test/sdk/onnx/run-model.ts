import { encodeModel, type OnnxModel } from 'lamella/sdk/onnx';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** A tensor as tests write it. */
export interface TestTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array | BigInt64Array | Uint8Array;
}

/** Runs a model once in this process; outputs by name. */
export async function runModel(
  model: OnnxModel,
  feeds: Readonly<Record<string, TestTensor>>,
): Promise<Readonly<Record<string, TestTensor>>> {
  const session = await InferenceSession.create(encodeModel(model), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const outputs = await session.run(
    Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toTensor(tensor)])),
  );
  const result = Object.fromEntries(
    Object.entries(outputs).map(([name, { dims, data }]) => [
      name,
      { dims, data: data as TestTensor['data'] },
    ]),
  );
  await session.release();
  return result;
}

function toTensor({ data, dims }: TestTensor): Tensor {
  if (data instanceof BigInt64Array) {
    return new Tensor('int64', data, dims);
  }
  return data instanceof Uint8Array ? new Tensor('uint8', data, dims) : new Tensor('float32', data, dims);
}
