import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { Code } from 'lamella/sdk';
import { ElementType, encodeModel, finishModel, GraphBuilder } from 'lamella/sdk/onnx';
import { ModelInferRequestSchema } from 'lamella/proto/inference/grpc_inference_service';
import { completeConfig } from '../../../plugins/serving/infer/complete-config.ts';
import { cutOutputs, padInputs, readShapeBuckets } from '../../../plugins/serving/infer/shape-buckets.ts';
import { callContext } from './infer-fixture.ts';
import { type InferInit, InferSubject, rejection } from './infer-subject.ts';

const BUCKETS = {
  inputs: { x: { axis: 1, sizes: [4, 8], value: 9 } },
  outputs: { y: { axis: 1, input: 'x' } },
};

/** Gives back its input `x`, FP32 [-1,-1], as `y`. */
function identityModel(): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['batch', 'length'] });
  graph.output('y', graph.apply('Identity', [x]));
  return encodeModel(finishModel(graph.finish('identity')));
}

function configWith(buckets: unknown): string {
  const string_value = typeof buckets === 'string' ? buckets : JSON.stringify(buckets);
  return JSON.stringify({ max_batch_size: 8, parameters: { shape_buckets: { string_value } } });
}

describe('shape buckets of serving.infer', function () {
  this.timeout(60_000);
  let subject: InferSubject;

  beforeEach(() => {
    subject = new InferSubject();
    subject.registry.add('identity', identityModel());
  });
  afterEach(() => subject.repository.close());

  const request = (values: readonly number[]): InferInit => ({
    modelName: 'identity',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1n, BigInt(values.length)] }],
    rawInputContents: [new Uint8Array(Float32Array.from(values).buffer)],
  });

  it('join requests of different lengths in one run and give each its own length back', async () => {
    await subject.loadWith('identity', { config: configWith(BUCKETS) });
    const all = [[1], [1, 2, 3], [1, 2, 3, 4]];
    const answers = await Promise.all(all.map((values) => subject.infer(request(values))));
    assert.deepEqual(answers, all);
    const { statistics, shape } = subject.repository.get('identity');
    assert.equal(statistics.snapshot(shape).executionCount, 1n);
    const long = Array.from({ length: 10 }, (_, index) => index);
    assert.deepEqual(await subject.infer(request(long)), long);
    const answer = await subject.service.modelInfer(
      create(ModelInferRequestSchema, request([1, 2])),
      callContext(),
    );
    assert.deepEqual(answer.outputs, [{ name: 'y', datatype: 'FP32', shape: [1n, 2n] }]);
  });

  it('put padding behind the values only, and take away no more than it', () => {
    const parameters = { shape_buckets: { stringValue: JSON.stringify(BUCKETS) } };
    const port = { type: 'float32' as const, dims: [-1, -1, 2] };
    const config = completeConfig(undefined, {
      model: 'm',
      inputs: [{ name: 'x', ...port }],
      outputs: [{ name: 'y', ...port }],
      maxBatchRows: 8,
      instances: 1,
    });
    const buckets = readShapeBuckets({ ...config, parameters } as never);
    assert.ok(buckets !== undefined);
    const sizes = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 10 }));
    fc.assert(
      fc.property(sizes, ([rows, length]) => {
        const data = Float32Array.from({ length: rows * length * 2 }, (_, index) => index);
        const x = { type: 'float32' as const, dims: [rows, length, 2], data };
        const padded = padInputs({ x }, buckets);
        const size = [4, 8].find((one) => one >= length) ?? length;
        assert.deepEqual(padded.tensors['x']?.dims, [rows, size, 2]);
        const filling = [...(padded.tensors['x']?.data ?? [])].slice(length * 2, size * 2);
        assert.ok(filling.every((value) => value === 9));
        const y = padded.tensors['x'] ?? x;
        assert.deepEqual(cutOutputs({ y }, padded, buckets)['y'], x);
      }),
    );
  });

  const wrong: readonly { what: string; buckets: unknown }[] = [
    { what: 'no JSON', buckets: '{' },
    { what: 'no object', buckets: [] },
    { what: 'an unknown input', buckets: { inputs: { q: { axis: 1, sizes: [1] } } } },
    { what: 'the batch', buckets: { inputs: { x: { axis: 0, sizes: [1] } } } },
    { what: 'sizes that go down', buckets: { inputs: { x: { axis: 1, sizes: [4, 2] } } } },
    { what: 'no sizes', buckets: { inputs: { x: { axis: 1, sizes: [] } } } },
    {
      what: 'an output that follows nothing',
      buckets: { ...BUCKETS, outputs: { y: { axis: 1, input: 'q' } } },
    },
  ];
  for (const { what, buckets } of wrong) {
    it(`are refused with ${what}`, async () => {
      const load = (): unknown => subject.loadWith('identity', { config: configWith(buckets) });
      const { code, message } = await rejection(load);
      assert.equal(code, Code.FAILED_PRECONDITION);
      assert.match(message, /parameter 'shape_buckets'/);
    });
  }
});
