import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Code } from 'lamella/sdk';
import type { InferParameter } from 'lamella/proto/inference/grpc_inference_service';
import { eventually } from '../../support/eventually.ts';
import { callContext } from './infer-fixture.ts';
import { type InferInit, InferSubject, rejection } from './infer-subject.ts';
import { control, sumConfig, sumModel } from './sequence-model.ts';

describe('sequences of serving.infer', function () {
  this.timeout(60_000);
  let subject: InferSubject;

  beforeEach(() => {
    subject = new InferSubject();
    subject.registry.add('sum', sumModel());
  });
  afterEach(() => subject.repository.close());

  const load = (change: object = {}): unknown => subject.loadWith('sum', { config: sumConfig(change) });
  const request = (
    value: number,
    place: { id?: bigint | string; start?: boolean; end?: boolean },
  ): InferInit => {
    const { id, start = false, end = false } = place;
    const parameters: Record<string, Pick<InferParameter, 'parameterChoice'>> = {
      sequence_start: { parameterChoice: { case: 'boolParam', value: start } },
      sequence_end: { parameterChoice: { case: 'boolParam', value: end } },
    };
    if (typeof id === 'bigint')
      parameters['sequence_id'] = { parameterChoice: { case: 'int64Param', value: id } };
    if (typeof id === 'string')
      parameters['sequence_id'] = { parameterChoice: { case: 'stringParam', value: id } };
    return {
      modelName: 'sum',
      parameters,
      inputs: [{ name: 'value', datatype: 'FP32', shape: [1n, 1n] }],
      rawInputContents: [new Uint8Array(Float32Array.of(value).buffer)],
    };
  };
  const ask = async (...parameters: Parameters<typeof request>): Promise<number> =>
    (await subject.infer(request(...parameters)))[0] ?? Number.NaN;

  it('keep their state and get their signals, many at once and each for itself', async () => {
    await load();
    const ids = [1n, 2n, 3n, 4n, 5n, 6n];
    const sums = await Promise.all(
      ids.map(async (id) => {
        const answers = [
          ask(1, { id, start: true }),
          ask(2, { id }),
          ask(3, { id }),
          ask(Number(id), { id, end: true }),
        ];
        return Promise.all(answers);
      }),
    );
    assert.deepEqual(
      sums,
      ids.map((id) => {
        const base = Number(id) * 10_000;
        return [base + 101, base + 3, base + 6, base + 1_006 + Number(id)];
      }),
    );
    // Rows of different sequences shared runs.
    const { statistics, shape } = subject.repository.get('sum');
    assert.ok((statistics.snapshot(shape).executionCount ?? 0n) < 24n);
  });

  it('begin with a start, and again with another one', async () => {
    await load();
    const { code, message } = await rejection(() => ask(1, { id: 7n }));
    assert.equal(code, Code.INVALID_ARGUMENT);
    assert.match(message, /must specify the START flag on the first request/);
    await ask(5, { id: 7n, start: true });
    assert.equal(await ask(1, { id: 7n, start: true }), 70_101);
    await ask(1, { id: 7n, end: true });
    assert.match((await rejection(() => ask(1, { id: 7n }))).message, /START flag/);
    assert.equal(await ask(1, { id: 'text', start: true, end: true }), 1_101);
  });

  it('show a state to callers where the configuration names it as an output', async () => {
    const output = [{ name: 'total' }];
    await subject.loadWith('sum', {
      config: JSON.stringify({ ...(JSON.parse(sumConfig()) as object), output }),
    });
    await ask(5, { id: 7n, start: true });
    assert.equal(await ask(6, { id: 7n, end: true }), 11);
  });

  it('need an id and one row a request', async () => {
    await load();
    for (const id of [undefined, 0n, '']) {
      const { code, message } = await rejection(() => ask(1, id === undefined ? {} : { id, start: true }));
      assert.equal(code, Code.INVALID_ARGUMENT);
      assert.match(message, /non-zero or non-empty correlation ID/);
    }
    const { modelName = '', parameters = {} } = request(1, { id: 1n, start: true });
    const two: InferInit = {
      modelName,
      parameters,
      inputs: [{ name: 'value', datatype: 'FP32', shape: [2n, 1n] }],
      rawInputContents: [new Uint8Array(8)],
    };
    assert.match((await rejection(() => subject.infer(two))).message, /batch-size 1/);
  });

  it('wait for a place while others are under way', async () => {
    await load({ oldest: { max_candidate_sequences: 1 } });
    await ask(1, { id: 1n, start: true });
    const abort = new AbortController();
    const cancelled = rejection(() =>
      subject.infer(request(9, { id: 3n, start: true, end: true }), callContext(abort.signal)),
    );
    const other = ask(2, { id: 2n, start: true, end: true });
    abort.abort();
    assert.equal((await cancelled).code, Code.CANCELLED);
    assert.equal(await ask(3, { id: 1n, end: true }), 11_004);
    assert.equal(await other, 21_102);
  });

  it('are forgotten when they are silent, and make place for others', async () => {
    await load({ oldest: { max_candidate_sequences: 1 }, max_sequence_idle_microseconds: 20_000 });
    await ask(1, { id: 1n, start: true });
    assert.equal(await ask(2, { id: 2n, start: true }), 20_102);
    await eventually(async () => {
      await delay(20);
      return /START flag/.test(
        await ask(1, { id: 2n }).then(
          () => '',
          (error: Error) => error.message,
        ),
      );
    });
  });

  it('begin with the state of the configuration', async () => {
    const state = (initial: object): object => ({
      state: [
        {
          input_name: 'before',
          output_name: 'total',
          data_type: 'TYPE_FP32',
          dims: [1],
          initial_state: [initial],
        },
      ],
    });
    await load(state({ data_type: 'TYPE_FP32', dims: [1], zero_data: true, name: 'zero' }));
    assert.equal(await ask(1, { id: 1n, start: true }), 10_101);
    const { message } = await rejection(() => load(state({ data_file: 'seed', dims: [1], name: 'file' })));
    assert.match(message, /has no files beside its versions/);
  });

  const wrong: readonly { what: string; change: object; text: RegExp }[] = [
    {
      what: 'an unknown control input',
      change: { control_input: [control('q', 'CONTROL_SEQUENCE_START', { int32_false_true: [0, 1] })] },
      text: /an input 'q' that the file does not have/,
    },
    {
      what: 'values of another type',
      change: { control_input: [control('start', 'CONTROL_SEQUENCE_START', { fp32_false_true: [0, 1] })] },
      text: /'start' is INT32 and needs/,
    },
    {
      what: 'a state of another type',
      change: { state: [{ input_name: 'before', output_name: 'total', data_type: 'TYPE_INT32', dims: [1] }] },
      text: /state 'before' is FP32/,
    },
    {
      what: 'a state from an unknown output',
      change: { state: [{ input_name: 'before', output_name: 'q', data_type: 'TYPE_FP32', dims: [1] }] },
      text: /an output 'q' that the file does not have/,
    },
    { what: 'iterations', change: { iterative_sequence: true }, text: /iterative_sequence is not supported/ },
  ];
  for (const { what, change, text } of wrong) {
    it(`are refused with ${what}`, async () => {
      const { code, message } = await rejection(() => load(change));
      assert.equal(code, Code.FAILED_PRECONDITION);
      assert.match(message, text);
    });
  }
});
