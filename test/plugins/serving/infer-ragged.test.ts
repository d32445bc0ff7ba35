import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { Code } from 'lamella/sdk';
import { ElementType, encodeModel, finishModel, GraphBuilder, intAttribute } from 'lamella/sdk/onnx';
import { openSession, type OrtTensors } from 'lamella/sdk/ort';
import { ModelInferRequestSchema } from 'lamella/proto/inference/grpc_inference_service';
import { Batcher } from '../../../plugins/serving/infer/batcher.ts';
import { completeConfig } from '../../../plugins/serving/infer/complete-config.ts';
import { readConfigJson } from '../../../plugins/serving/infer/config-text.ts';
import { plainQueue } from '../../../plugins/serving/infer/queue-policy.ts';
import { readRaggedBatch } from '../../../plugins/serving/infer/ragged-batch.ts';
import { callContext } from './infer-fixture.ts';
import { type InferInit, InferSubject, rejection } from './infer-subject.ts';

/**
 * A model of requests of any length, which stand end to end in `x`, FP32 [-1]: `place`, FP32 [-1,1], is where each request ends
 * (`ends`, INT32 [-1]) and 100 times the sum of them all, and `twice`, FP32 [-1], is each value twice.
 */
function raggedModel(): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['total'] });
  const ends = graph.input('ends', { type: ElementType.INT32, shape: ['requests'] });
  const column = graph.apply('Unsqueeze', [
    graph.apply('Cast', [ends], { to: intAttribute(ElementType.FLOAT) }),
    graph.integers([1]),
  ]);
  const sum = graph.apply('Mul', [graph.apply('ReduceSum', [x]), graph.scalar(100)]);
  graph.output('place', graph.apply('Add', [column, sum]));
  graph.output('twice', graph.apply('Add', [x, x]));
  return encodeModel(finishModel(graph.finish('ragged')));
}

const CONFIG = {
  max_batch_size: 8,
  input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [-1], allow_ragged_batch: true }],
  batch_input: [
    {
      kind: 'BATCH_ACCUMULATED_ELEMENT_COUNT',
      target_name: ['ends'],
      data_type: 'TYPE_INT32',
      source_input: ['x'],
    },
  ],
  batch_output: [{ target_name: ['twice'], kind: 'BATCH_SCATTER_WITH_INPUT_SHAPE', source_input: ['x'] }],
};

describe('ragged batches of serving.infer', function () {
  this.timeout(60_000);
  let subject: InferSubject;

  beforeEach(() => {
    subject = new InferSubject();
    subject.registry.add('ragged', raggedModel());
  });
  afterEach(() => subject.repository.close());

  const load = (change: object = {}): unknown =>
    subject.loadWith('ragged', { config: JSON.stringify({ ...CONFIG, ...change }) });
  const request = (values: readonly number[], outputs: { name: string }[] = []): InferInit => ({
    modelName: 'ragged',
    outputs,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1n, BigInt(values.length)] }],
    rawInputContents: [new Uint8Array(Float32Array.from(values).buffer)],
  });
  const twice = (values: readonly number[]): Promise<number[]> =>
    subject.infer(request(values, [{ name: 'twice' }]));

  it('run requests of different lengths together, end to end, and give each its own part', async () => {
    await load();
    const all = [[1], [2, 3], [4, 5, 6]];
    const answers = await Promise.all(
      all.map((values) =>
        Promise.resolve(
          subject.service.modelInfer(create(ModelInferRequestSchema, request(values)), callContext()),
        ),
      ),
    );
    assert.deepEqual(
      answers.map(({ outputs }) => outputs),
      all.map((values) => [
        { name: 'place', datatype: 'FP32', shape: [1n, 1n] },
        { name: 'twice', datatype: 'FP32', shape: [1n, BigInt(values.length)] },
      ]),
    );
    const numbers = answers.map(({ rawOutputContents = [] }) =>
      rawOutputContents.map((bytes) => [...new Float32Array(new Uint8Array(bytes).buffer)]),
    );
    assert.deepEqual(numbers, [
      [[2_101], [2]],
      [[2_103], [4, 6]],
      [[2_106], [8, 10, 12]],
    ]);
    const { statistics, shape } = subject.repository.get('ragged');
    assert.equal(statistics.snapshot(shape).executionCount, 1n);
    // One alone gets what the server makes as well.
    assert.deepEqual(await twice([7, 8]), [14, 16]);
  });

  it('answer a hundred callers at once, each with its own length', async () => {
    await load();
    const lengths = Array.from({ length: 100 }, (_, index) => 1 + (index % 17));
    const answers = await Promise.all(
      lengths.map((length, caller) => twice(Array.from({ length }, () => caller))),
    );
    assert.deepEqual(
      answers,
      lengths.map((length, caller) => Array.from({ length }, () => caller * 2)),
    );
  });

  it('lose the bad request only, and those of a killed process run again', async () => {
    await using session = await openSession({ model: raggedModel() });
    const { inputs, outputs } = session;
    const facts = { model: 'ragged', inputs, outputs, maxBatchRows: 8, instances: 1 };
    const config = completeConfig(readConfigJson('ragged', JSON.stringify(CONFIG)), facts);
    let isKilled = false;
    const run = (tensors: OrtTensors): Promise<OrtTensors> => {
      if ([...(tensors['x']?.data ?? [])].includes(-1)) return Promise.reject(new Error('poisoned'));
      const answer = session.run(tensors);
      if (!isKilled) process.kill(session.pids[0] ?? 0, 'SIGKILL');
      isKilled = true;
      return answer;
    };
    const batcher = new Batcher({
      model: 'ragged',
      slots: 1,
      policies: plainQueue(100),
      batchable: true,
      maxBatchRows: 8,
      layout: readRaggedBatch(config, session),
      run,
      onRun: () => undefined,
    });
    const all = [[1], [2, 2], [-1, 3, 3], [4, 4, 4, 4], [5]];
    const settled = await Promise.allSettled(
      all.map((values) => {
        const x = { type: 'float32' as const, dims: [1, values.length], data: Float32Array.from(values) };
        const cancelError = (): Error => new Error('nobody cancels');
        return batcher.submit({ tensors: { x }, rows: 1, key: '', cancelError });
      }),
    );
    assert.deepEqual(
      settled.map((result) =>
        result.status === 'fulfilled' ? [...(result.value.outputs['twice']?.data ?? [])] : 'failed',
      ),
      [[2], [4, 4], 'failed', [8, 8, 8, 8], [10]],
    );
  });

  it('say the shapes of all requests in each of the ways that Triton has', () => {
    const kinds: readonly { kind: string; dims: number[]; expected: OrtTensors[string] }[] = [
      { kind: 'BATCH_ELEMENT_COUNT', dims: [-1], expected: ints([3], 2, 8, 3) },
      { kind: 'BATCH_ACCUMULATED_ELEMENT_COUNT', dims: [-1], expected: ints([3], 2, 10, 13) },
      { kind: 'BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO', dims: [-1], expected: ints([4], 0, 2, 10, 13) },
      { kind: 'BATCH_MAX_ELEMENT_COUNT_AS_SHAPE', dims: [-1], expected: ints([8], 0, 0, 0, 0, 0, 0, 0, 0) },
      { kind: 'BATCH_ITEM_SHAPE', dims: [-1, 2], expected: ints([4, 2], 1, 2, 2, 2, 2, 2, 3, 1) },
      { kind: 'BATCH_ITEM_SHAPE_FLATTEN', dims: [-1], expected: ints([8], 1, 2, 2, 2, 2, 2, 3, 1) },
    ];
    const shapes = [
      [1, 1, 2],
      [2, 2, 2],
      [1, 3, 1],
    ];
    const requests = shapes.map((dims) => {
      const data = new Float32Array(dims.reduce((product, size) => product * size, 1));
      return { x: { type: 'float32' as const, dims, data } };
    });
    for (const { kind, dims, expected } of kinds) {
      const inputs = [
        { name: 'x', type: 'float32' as const, dims: [-1] },
        { name: 'made', type: 'int32' as const, dims },
      ];
      const config = readConfigJson(
        'm',
        JSON.stringify({
          max_batch_size: 8,
          input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [-1, -1], allow_ragged_batch: true }],
          batch_input: [{ kind, target_name: ['made'], data_type: 'TYPE_INT32', source_input: ['x'] }],
        }),
      );
      const joined = readRaggedBatch(config, { inputs })?.join(requests);
      assert.deepEqual(joined?.['made'], expected, kind);
      assert.deepEqual(joined['x']?.dims, [13]);
    }
  });

  const [made] = CONFIG.batch_input;
  const wrong: readonly { what: string; change: object; text: RegExp }[] = [
    { what: 'no batches', change: { max_batch_size: 0 }, text: /ragged/ },
    {
      what: 'an unknown source',
      change: { batch_input: [{ ...made, source_input: ['q'] }] },
      text: /source_input/,
    },
    { what: 'an unknown target', change: { batch_input: [{ ...made, target_name: ['q'] }] }, text: /'q'/ },
    {
      what: 'another type',
      change: { batch_input: [{ ...made, data_type: 'TYPE_FP32' }] },
      text: /data_type/,
    },
    {
      what: 'a shape that is flat',
      change: { batch_input: [{ ...made, kind: 'BATCH_ITEM_SHAPE' }] },
      text: /2 dimensions/,
    },
    { what: 'sequences', change: { sequence_batching: { direct: {} } }, text: /ragged batch/ },
  ];
  for (const { what, change, text } of wrong) {
    it(`are refused with ${what}`, async () => {
      const { code, message } = await rejection(() => load(change));
      assert.equal(code, Code.FAILED_PRECONDITION);
      assert.match(message, text);
    });
  }
});

function ints(dims: number[], ...values: number[]): OrtTensors[string] {
  return { type: 'int32', dims, data: Int32Array.from(values) };
}
