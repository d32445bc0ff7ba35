import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Client, Code } from 'lamella/sdk';
import {
  GRPCInferenceService,
  type ModelInferRequest,
  ModelInferRequestSchema,
  type ModelStreamInferResponse,
} from 'lamella/proto/inference/grpc_inference_service';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { ROOT } from '../../e2e/serving-kernel.ts';

type InferInit = MessageInitShape<typeof ModelInferRequestSchema>;

const EXAMPLE = path.join(ROOT, 'examples', 'repeat-backend');

/** A request for the values, each after no time. */
function repeatRequest(
  values: readonly number[],
  change: InferInit = {},
  delayMs: number = 0,
): ModelInferRequest {
  const count = BigInt(values.length);
  const raw = (array: Int32Array): Uint8Array => new Uint8Array(array.buffer);
  return create(ModelInferRequestSchema, {
    modelName: 'repeat_int32',
    inputs: [
      { name: 'IN', datatype: 'INT32', shape: [count] },
      { name: 'DELAY', datatype: 'UINT32', shape: [count] },
      { name: 'WAIT', datatype: 'UINT32', shape: [1n] },
    ],
    rawInputContents: [
      raw(Int32Array.from(values)),
      raw(Int32Array.from(values, () => delayMs)),
      raw(Int32Array.of(0)),
    ],
    ...change,
  });
}

const WANTS_END: InferInit = {
  parameters: { triton_enable_empty_final_response: { parameterChoice: { case: 'boolParam', value: true } } },
};

/** First output of an answer, or what it says instead. */
function shown({ errorMessage, inferResponse }: ModelStreamInferResponse): number | string {
  if (errorMessage !== '') return errorMessage;
  const [content] = inferResponse?.rawOutputContents ?? [];
  if (content === undefined) return 'empty';
  return new DataView(content.buffer, content.byteOffset).getInt32(0, true);
}

function isFinal({ inferResponse }: ModelStreamInferResponse): unknown {
  return inferResponse?.parameters['triton_final_response']?.parameterChoice.value;
}

async function* listed(requests: readonly ModelInferRequest[]): AsyncGenerator<ModelInferRequest> {
  yield* requests;
}

async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('backends of serving.infer that are plugins', function () {
  this.timeout(60_000);
  let folder: string;
  let kernel: TestKernel;
  let inference: Client<typeof GRPCInferenceService>;

  const stream = (...requests: ModelInferRequest[]): Promise<ModelStreamInferResponse[]> =>
    collected(inference.modelStreamInfer(listed(requests)));
  const post = (route: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`http://${kernel.addresses.http}/v2/models/repeat_int32/${route}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-models-'));
    await cp(path.join(EXAMPLE, 'models'), folder, { recursive: true });
    await mkdir(path.join(folder, 'nobodys', '1'), { recursive: true });
    await writeFile(path.join(folder, 'nobodys', 'config.pbtxt'), 'backend: "nobody"');
    kernel = await startTestKernel({
      plugins: [
        path.join(ROOT, 'dist', 'plugins', 'model', 'registry'),
        path.join(ROOT, 'dist', 'plugins', 'serving', 'infer'),
        EXAMPLE,
      ],
      config: { plugins: { 'serving.infer': { config: { modelRepositories: [folder] } } } },
    });
    inference = kernel.call(GRPCInferenceService);
    await inference.repositoryModelLoad({ modelName: 'repeat_int32' });
  });
  after(async () => {
    await kernel.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('tell what their models take and give', async () => {
    const { config } = await inference.modelConfig({ name: 'repeat_int32' });
    assert.deepEqual(
      [config?.backend, config?.modelTransactionPolicy?.decoupled, config?.input.map(({ name }) => name)],
      ['repeat', true, ['IN', 'DELAY', 'WAIT']],
    );
    const { platform, outputs } = await inference.modelMetadata({ name: 'repeat_int32' });
    assert.equal(platform, 'repeat');
    assert.deepEqual(
      outputs.map(({ name, datatype, shape }) => [name, datatype, shape]),
      [
        ['OUT', 'INT32', [1n]],
        ['IDX', 'UINT32', [1n]],
      ],
    );
  });

  it('answer a request of a decoupled model any number of times, none included', async () => {
    const answers = await stream(repeatRequest([7, 8, 9], { id: 'three' }), repeatRequest([]));
    assert.deepEqual(answers.map(shown), [7, 8, 9]);
    assert.deepEqual(answers.map(isFinal), [false, false, false]);
    assert.equal(answers[0]?.inferResponse?.id, 'three');
  });

  it('mark the end with an empty answer where that is asked for', async () => {
    const answers = await stream(repeatRequest([7], WANTS_END));
    assert.deepEqual(answers.map(shown), [7, 'empty']);
    assert.deepEqual(answers.map(isFinal), [false, true]);
  });

  it('answer several requests of one stream beside each other, and give only the outputs that are wanted', async () => {
    const slow = repeatRequest([1, 2], { id: 'slow', outputs: [{ name: 'IDX' }] }, 50);
    const answers = await stream(slow, repeatRequest([5], { id: 'fast' }));
    assert.deepEqual(answers.map(shown), [5, 0, 1]);
    assert.deepEqual(
      answers[1]?.inferResponse?.outputs.map(({ name }) => name),
      ['IDX'],
    );
  });

  it('say what is wrong with a request, and the stream goes on', async () => {
    const wrong = repeatRequest([1, 2], { id: 'wrong' });
    wrong.rawInputContents[1] = new Uint8Array(4);
    const input = wrong.inputs[1];
    assert.ok(input !== undefined);
    input.shape = [1n];
    const answers = await stream(wrong, repeatRequest([3]));
    assert.deepEqual(
      new Set(answers.map(shown)),
      new Set([3, 'IN and DELAY must have as many values as each other']),
    );
  });

  it('refuse what expects one answer', async () => {
    await assert.rejects(inference.modelInfer(repeatRequest([1])), {
      code: Code.UNIMPLEMENTED,
      message: /^ModelInfer RPC doesn't support models with decoupled transaction policy/,
    });
    const answer = await post('infer', { inputs: [] });
    assert.equal(answer.status, 501);
    assert.match(
      await answer.text(),
      /HTTP end point doesn't support models with decoupled transaction policy/,
    );
  });

  it('stop when their caller leaves', async () => {
    const failures = async (): Promise<bigint> => {
      const { modelStats } = await inference.modelStatistics({ name: 'repeat_int32' });
      return modelStats[0]?.inferenceStats?.fail?.count ?? 0n;
    };
    const before = await failures();
    const caller = new AbortController();
    const requests = listed([repeatRequest([1, 2], {}, 60_000)]);
    const answers = collected(inference.modelStreamInfer(requests, { signal: caller.signal }));
    caller.abort();
    // Whether the caller gets to see it depends on what lies between them.
    assert.deepEqual((await answers).map(shown), ['The request was cancelled by its caller.']);
    assert.equal(await failures(), before + 1n);
  });

  it('send answers over REST as events', async () => {
    const given = { IN: [4, 5], DELAY: [0, 0], WAIT: 0 };
    const generated = await post('generate_stream', { id: 'sse', ...given });
    assert.match(generated.headers.get('content-type') ?? '', /^text\/event-stream/);
    const events = (await generated.text()).split('\n\n').filter((text) => text !== '');
    assert.deepEqual(
      events.map((text) => JSON.parse(text.replace(/^data: /, '')) as unknown),
      [0, 1].map((index) => ({
        model_name: 'repeat_int32',
        model_version: '1',
        id: 'sse',
        OUT: 4 + index,
        IDX: index,
      })),
    );
    const inputs = [
      { name: 'IN', datatype: 'INT32', shape: [1], data: [6] },
      { name: 'DELAY', datatype: 'UINT32', shape: [1], data: [0] },
      { name: 'WAIT', datatype: 'UINT32', shape: [1], data: [0] },
    ];
    const inferred = await post('infer', { inputs }, { accept: 'text/event-stream' });
    const [event = ''] = (await inferred.text()).split('\n\n');
    const { outputs } = JSON.parse(event.replace(/^data: /, '')) as { outputs: { data: number[] }[] };
    assert.deepEqual(
      outputs.map(({ data }) => data),
      [[6], [0]],
    );
    const refused = await post('generate', given);
    assert.match(await refused.text(), /generate expects model to produce exactly 1 response/);
    const one = await post('generate', { IN: 4, DELAY: 0, WAIT: 0 });
    assert.equal(((await one.json()) as { OUT: number }).OUT, 4);
  });

  it('open their models again when their plugin was replaced', async () => {
    await kernel.reload('example.repeat-backend');
    assert.deepEqual((await stream(repeatRequest([1]))).map(shown), [1]);
  });

  it('are named when they are missing', async () => {
    await assert.rejects(inference.repositoryModelLoad({ modelName: 'nobodys' }), {
      code: Code.FAILED_PRECONDITION,
      message:
        /failed to load 'nobodys': backend 'nobody': No plugin provides 'nobody'.*load a plugin that is that backend/,
    });
  });
});
