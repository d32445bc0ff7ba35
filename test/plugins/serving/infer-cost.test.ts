import assert from 'node:assert/strict';
import { Code } from 'lamella/sdk';
import { ElementType, encodeModel, finishModel, GraphBuilder } from 'lamella/sdk/onnx';
import { elementsOf, openSession, type OrtTensors } from 'lamella/sdk/ort';
import { Batcher } from '../../../plugins/serving/infer/batcher.ts';
import { plainQueue } from '../../../plugins/serving/infer/queue-policy.ts';
import { type InferInit, InferSubject, rejection } from './infer-subject.ts';

/** Gives back its input `x`, FP32 [-1,-1], as `y`. */
function costlyModel(): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['batch', 'length'] });
  graph.output('y', graph.apply('Identity', [x]));
  return encodeModel(finishModel(graph.finish('costly')));
}

function configWith(cost: unknown, parameters: object = {}): string {
  const string_value = typeof cost === 'string' ? cost : JSON.stringify(cost);
  return JSON.stringify({
    max_batch_size: 64,
    parameters: { max_batch_cost: { string_value }, ...parameters },
  });
}

describe('the cost of a run of serving.infer', function () {
  this.timeout(60_000);
  let subject: InferSubject;

  beforeEach(() => {
    subject = new InferSubject();
    subject.registry.add('costly', costlyModel());
  });
  afterEach(() => subject.repository.close());

  const request = (values: readonly number[], parameters: InferInit['parameters'] = {}): InferInit => ({
    modelName: 'costly',
    parameters,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1n, BigInt(values.length)] }],
    rawInputContents: [new Uint8Array(Float32Array.from(values).buffer)],
  });
  const tokens = (value: bigint): InferInit['parameters'] => ({
    tokens: { parameterChoice: { case: 'int64Param', value } },
  });
  const runs = (): bigint | undefined => {
    const { statistics, shape } = subject.repository.get('costly');
    return statistics.snapshot(shape).executionCount;
  };
  const load = (cost: unknown, parameters: object = {}): unknown =>
    subject.loadWith('costly', { config: configWith(cost, parameters) });

  it('is that of the elements of an input, and bounds what is joined', async () => {
    await load({ limit: 8, input: 'x' });
    const all = [
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
      [1, 1, 1],
    ];
    assert.deepEqual(await Promise.all(all.map((values) => subject.infer(request(values)))), all);
    assert.equal(runs(), 2n);
  });

  it('counts the padding of a request', async () => {
    const string_value = JSON.stringify({
      inputs: { x: { axis: 1, sizes: [4] } },
      outputs: { y: { axis: 1, input: 'x' } },
    });
    await load({ limit: 8, input: 'x' }, { shape_buckets: { string_value } });
    const all = [[1], [2], [3], [4]];
    assert.deepEqual(await Promise.all(all.map((values) => subject.infer(request(values)))), all);
    assert.equal(runs(), 2n);
  });

  it('refuses a request that is above the limit alone, over gRPC and REST, and no other', async () => {
    await load({ limit: 3, input: 'x' });
    const [refused, answered] = await Promise.all([
      rejection(() => subject.infer(request([1, 2, 3, 4]))),
      subject.infer(request([1, 2, 3])),
    ]);
    assert.equal(refused.code, Code.INVALID_ARGUMENT);
    assert.match(refused.message, /The request costs 4, and a run of 'costly' may cost 3/);
    assert.deepEqual(answered, [1, 2, 3]);
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }];
    const body = JSON.stringify({ inputs });
    const response = await subject.http('/v2/models/costly/infer', { method: 'POST', body });
    assert.equal(response.status, 400);
    assert.match(await response.text(), /max_batch_cost/);
  });

  it('is what the request says, over gRPC and REST', async () => {
    await load({ limit: 10, parameter: 'tokens' });
    const all = [4n, 5n, 6n].map((cost) => subject.infer(request([Number(cost)], tokens(cost))));
    assert.deepEqual(await Promise.all(all), [[4], [5], [6]]);
    assert.equal(runs(), 2n);
    for (const [parameters, message] of [
      [tokens(11n), /costs 11/],
      [tokens(0n), /parameter 'tokens' must say/],
      [tokens(-5n), /parameter 'tokens' must say/],
      [{}, /parameter 'tokens' must say/],
      [{ tokens: { parameterChoice: { case: 'doubleParam', value: Number.NaN } } }, /must say/],
      [{ tokens: { parameterChoice: { case: 'stringParam', value: '1' } } }, /must say/],
    ] as const) {
      const refused = await rejection(() =>
        subject.infer(request([1], parameters as InferInit['parameters'])),
      );
      assert.equal(refused.code, Code.INVALID_ARGUMENT);
      assert.match(refused.message, message);
    }
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }];
    const ask = async (parameters: object): Promise<number> => {
      const body = JSON.stringify({ inputs, parameters });
      return (await subject.http('/v2/models/costly/infer', { method: 'POST', body })).status;
    };
    assert.equal(await ask({ tokens: 10 }), 200);
    assert.equal(await ask({ tokens: 11 }), 400);
    assert.equal(await ask({}), 400);
  });

  it('holds for a hundred callers at once, also when the process is killed under a run', async () => {
    await using session = await openSession({ model: costlyModel() });
    const ran: number[] = [];
    const run = (tensors: OrtTensors): Promise<OrtTensors> => {
      ran.push(elementsOf(tensors['x']?.dims ?? []));
      const outputs = session.run(tensors);
      if (ran.length === 2) process.kill(session.pids[0] ?? 0, 'SIGKILL');
      return outputs;
    };
    const batcher = new Batcher({
      model: 'costly',
      slots: 1,
      policies: plainQueue(1_000),
      batchable: true,
      maxBatchRows: 64,
      maxBatchCost: 4_000,
      run,
      onRun: () => undefined,
    });
    const callers = Array.from({ length: 100 }, (_, caller) => caller);
    const answers = await Promise.all(
      callers.map((caller) => {
        const x = { type: 'float32' as const, dims: [1, 400], data: new Float32Array(400).fill(caller) };
        const cancelError = (): Error => new Error('nobody cancels');
        return batcher.submit({ tensors: { x }, rows: 1, cost: 400, key: '', cancelError });
      }),
    );
    assert.deepEqual(
      answers.map(({ outputs }) => outputs['y']?.data[399]),
      callers,
    );
    assert.ok(ran.every((cost) => cost <= 4_000));
    // Ten runs, of which one had to be made again request by request.
    assert.equal(ran.length, 20);
  });

  const wrong: readonly { what: string; cost: unknown }[] = [
    { what: 'no JSON', cost: '{' },
    { what: 'no object', cost: [] },
    { what: 'no limit', cost: { input: 'x' } },
    { what: 'a limit of 0', cost: { limit: 0, input: 'x' } },
    { what: 'an unknown input', cost: { limit: 1, input: 'q' } },
    { what: 'nothing that says the cost', cost: { limit: 1 } },
    { what: 'two things that say it', cost: { limit: 1, input: 'x', parameter: 'tokens' } },
    { what: 'an unknown field', cost: { limit: 1, input: 'x', axis: 1 } },
  ];
  for (const { what, cost } of wrong) {
    it(`is refused with ${what}`, async () => {
      const { code, message } = await rejection(() => load(cost));
      assert.equal(code, Code.FAILED_PRECONDITION);
      assert.match(message, /parameter 'max_batch_cost'/);
    });
  }

  it('is refused for a model without batches', async () => {
    const config = JSON.stringify({
      max_batch_size: 1,
      parameters: { max_batch_cost: { string_value: '{"limit": 1, "input": "x"}' } },
    });
    const { message } = await rejection(() => subject.loadWith('costly', { config }));
    assert.match(message, /needs a model with dynamic_batching/);
  });
});
