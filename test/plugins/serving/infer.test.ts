import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type CallContext, Code, type FetchHandler, isDeclaredError, type ServiceImplementation } from 'lamella/sdk';
import {
  type GRPCInferenceService,
  ModelInferRequestSchema,
  ModelMetadataRequestSchema,
  RepositoryIndexRequestSchema,
  RepositoryModelLoadRequestSchema,
  ServerMetadataRequestSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import type { InferConfig } from '../../../plugins/serving/infer/config.ts';
import { ModelRepository } from '../../../plugins/serving/infer/repository.ts';
import { restHandler } from '../../../plugins/serving/infer/rest.ts';
import { inferenceService } from '../../../plugins/serving/infer/service.ts';
import { addModel, callContext, fakeHost, FakeRegistry, MemoryStorage } from './infer-fixture.ts';

type InferInit = MessageInitShape<typeof ModelInferRequestSchema>;

/** A request with raw contents: rows of two bytes. */
function rawRequest(values: readonly number[], change: InferInit = {}): InferInit {
  const shape = [BigInt(values.length / 2), 2n];
  return {
    modelName: 'add',
    inputs: [{ name: 'x', datatype: 'UINT8', shape }],
    rawInputContents: [Uint8Array.from(values)],
    ...change,
  };
}

async function rejection(work: () => unknown): Promise<{ code: number; message: string }> {
  try {
    await work();
  } catch (error) {
    assert.ok(isDeclaredError(error), String(error));
    return { code: error.code, message: error.message };
  }
  return assert.fail('expected an error');
}

describe('serving.infer', function () {
  this.timeout(60_000);
  let registry: FakeRegistry;
  let storage: MemoryStorage;
  let repository: ModelRepository;
  let service: ServiceImplementation<typeof GRPCInferenceService>;
  let rest: FetchHandler;

  const start = async (config: Partial<InferConfig> = {}): Promise<void> => {
    repository = new ModelRepository(fakeHost(registry, storage, config));
    await repository.restore();
    const server = { name: 'lamella', version: '0.1.0' };
    service = inferenceService(repository, server);
    rest = restHandler(repository, server);
  };
  const infer = async (request: InferInit, context: CallContext = callContext()): Promise<number[]> => {
    const response = await service.modelInfer(create(ModelInferRequestSchema, request), context);
    const [sum = new Uint8Array()] = response.rawOutputContents ?? [];
    return [...new Float32Array(new Uint8Array(sum).buffer)];
  };
  const load = (version?: string): unknown =>
    service.repositoryModelLoad(
      create(RepositoryModelLoadRequestSchema, {
        modelName: 'add',
        parameters: version === undefined ? {} : { version: { parameterChoice: { case: 'stringParam', value: version } } },
      }),
      callContext(),
    );
  const http = (path: string, init: RequestInit = {}): Promise<Response> =>
    Promise.resolve(
      rest(new Request(`http://localhost${path}`, init), { signal: new AbortController().signal, peer: 'test' }),
    );

  beforeEach(async () => {
    registry = new FakeRegistry();
    registry.add('add', addModel(1));
    storage = new MemoryStorage();
    await start();
  });
  afterEach(() => repository.close());

  describe('gRPC', () => {
    it('describes the server and a loaded model', async () => {
      await load();
      const server = await service.serverMetadata(create(ServerMetadataRequestSchema), callContext());
      assert.equal(server.name, 'lamella');
      assert.ok(server.extensions?.includes('binary_tensor_data'));
      const model = await service.modelMetadata(create(ModelMetadataRequestSchema, { name: 'add' }), callContext());
      assert.deepEqual(model.versions, ['1']);
      assert.deepEqual(model.inputs, [{ name: 'x', datatype: 'UINT8', shape: [-1n, 2n] }]);
      assert.deepEqual(model.outputs, [
        { name: 'sum', datatype: 'FP32', shape: [-1n, 2n] },
        { name: 'copy', datatype: 'UINT8', shape: [-1n, 2n] },
      ]);
    });

    it('answers raw and typed contents with raw contents', async () => {
      await load();
      assert.deepEqual(await infer(rawRequest([1, 2, 3, 4])), [2, 3, 4, 5]);
      const inputs = [{ name: 'x', datatype: 'UINT8', shape: [1n, 2n], contents: { uintContents: [7, 8] } }];
      assert.deepEqual(await infer({ modelName: 'add', inputs }), [8, 9]);
    });

    it('gives every caller its own rows, and only the outputs it names', async () => {
      await load();
      const answers = await Promise.all(Array.from({ length: 150 }, (_, row) => infer(rawRequest([row, row % 7]))));
      assert.deepEqual(
        answers,
        Array.from({ length: 150 }, (_, row) => [row + 1, (row % 7) + 1]),
      );
      const request = create(ModelInferRequestSchema, rawRequest([1, 2], { id: 'a', outputs: [{ name: 'copy' }] }));
      const response = await service.modelInfer(request, callContext());
      assert.deepEqual(response.outputs, [{ name: 'copy', datatype: 'UINT8', shape: [1n, 2n] }]);
      assert.equal(response.id, 'a');
    });

    const wrong: readonly { what: string; request: InferInit; code: number; text: RegExp }[] = [
      { what: 'an unknown model', request: rawRequest([1, 2], { modelName: 'none' }), code: Code.NOT_FOUND, text: /^Request for unknown model: 'none'/ },
      { what: 'a version that is not loaded', request: rawRequest([1, 2], { modelVersion: '9' }), code: Code.NOT_FOUND, text: /^Request for unknown model: 'add' version 9/ },
      { what: 'a missing input', request: { modelName: 'add' }, code: Code.INVALID_ARGUMENT, text: /expected 1 inputs but got 0/ },
      { what: 'an unknown input', request: rawRequest([1, 2], { inputs: [{ name: 'z', datatype: 'UINT8', shape: [1n, 2n] }] }), code: Code.INVALID_ARGUMENT, text: /unexpected inference input 'z'/ },
      { what: 'another type', request: rawRequest([1, 2], { inputs: [{ name: 'x', datatype: 'FP32', shape: [1n, 2n] }] }), code: Code.INVALID_ARGUMENT, text: /data-type is 'FP32'.*expects 'UINT8'/ },
      { what: 'another shape', request: rawRequest([1, 2], { inputs: [{ name: 'x', datatype: 'UINT8', shape: [2n] }] }), code: Code.INVALID_ARGUMENT, text: /Expected \[-1,2\], got \[2\]/ },
      { what: 'a negative size', request: rawRequest([1, 2], { inputs: [{ name: 'x', datatype: 'UINT8', shape: [-1n, 2n] }] }), code: Code.INVALID_ARGUMENT, text: /unexpected shape/ },
      { what: 'too few bytes', request: rawRequest([1, 2], { rawInputContents: [new Uint8Array(1)] }), code: Code.INVALID_ARGUMENT, text: /size 1 bytes .* expecting 2/ },
      { what: 'no content', request: rawRequest([1, 2], { rawInputContents: [] }), code: Code.INVALID_ARGUMENT, text: /unable to find data for input tensor 'x'/ },
      { what: 'no rows', request: rawRequest([]), code: Code.INVALID_ARGUMENT, text: /batch-size must be >= 1 and <= 64/ },
      { what: 'too many rows', request: rawRequest(Array.from({ length: 130 }, () => 1)), code: Code.INVALID_ARGUMENT, text: /batch-size.*got 65/ },
      { what: 'an unknown output', request: rawRequest([1, 2], { outputs: [{ name: 'q' }] }), code: Code.INVALID_ARGUMENT, text: /unexpected inference output 'q'/ },
    ];
    for (const { what, request, code, text } of wrong) {
      it(`refuses ${what}`, async () => {
        await load();
        const error = await rejection(() => infer(request));
        assert.equal(error.code, code);
        assert.match(error.message, text);
      });
    }

    it('answers a stream in order and puts errors into it', async () => {
      await load();
      const requests = [rawRequest([1, 1], { id: 'a' }), { modelName: 'none', id: 'b' }, rawRequest([3, 3], { id: 'c' })];
      async function* send(): AsyncGenerator<ReturnType<typeof create<typeof ModelInferRequestSchema>>> {
        for (const request of requests) yield create(ModelInferRequestSchema, request);
      }
      const answers = [];
      for await (const answer of service.modelStreamInfer(send(), callContext())) answers.push(answer);
      assert.deepEqual(
        answers.map(({ inferResponse }) => inferResponse?.id),
        ['a', 'b', 'c'],
      );
      assert.match(answers[1]?.errorMessage ?? '', /^Request for unknown model/);
      assert.equal(answers[2]?.errorMessage, '');
    });

    it('says of a method that it does not have what to do instead', async () => {
      const error = await rejection(() => service.traceSetting({} as never, callContext()));
      assert.equal(error.code, Code.UNIMPLEMENTED);
      assert.match(error.message, /TraceSetting is not supported/);
    });
  });

  describe('repository', () => {
    it('replaces a version while requests go on and loses none', async () => {
      await load();
      registry.add('add', addModel(10));
      let stop = false;
      const seen = new Set<number>();
      const traffic = (async () => {
        while (!stop) for (const [value = 0] of await Promise.all([1, 2, 3].map(() => infer(rawRequest([1, 1]))))) seen.add(value);
      })();
      await load();
      assert.deepEqual(await infer(rawRequest([1, 1])), [11, 11]);
      stop = true;
      await traffic;
      assert.ok([...seen].every((value) => value === 2 || value === 11));
      assert.deepEqual(await infer(rawRequest([1, 1], { modelVersion: '2' })), [11, 11]);
    });

    it('loads a version by number and keeps what is loaded when a load fails', async () => {
      registry.add('add', addModel(10));
      registry.add('add', Uint8Array.from([1, 2, 3]));
      await load('1');
      assert.deepEqual(await infer(rawRequest([1, 1])), [2, 2]);
      assert.equal((await rejection(() => load('3'))).code, Code.FAILED_PRECONDITION);
      const missing = await rejection(() => load('7'));
      assert.equal(missing.code, Code.NOT_FOUND);
      assert.match(missing.message, /failed to load 'add'.*versions\/7/);
      assert.deepEqual(await infer(rawRequest([1, 1])), [2, 2]);
    });

    it('loads again after a restart what was loaded', async () => {
      await load();
      registry.add('add', addModel(10));
      await repository.close();
      await start();
      assert.deepEqual(await infer(rawRequest([1, 1])), [2, 2]);
    });

    it('lists registered models with their state', async () => {
      registry.add('other', addModel(2));
      await load();
      const index = await service.repositoryIndex(create(RepositoryIndexRequestSchema), callContext());
      assert.deepEqual(
        index.models?.map(({ name, version, state }) => [name, version, state]),
        [
          ['add', '1', 'READY'],
          ['other', '', 'UNAVAILABLE'],
        ],
      );
    });

    it('lets a request end that was waiting when its model was unloaded', async () => {
      await load();
      const waiting = [1, 2, 3, 4].map(() => infer(rawRequest([1, 1])));
      await repository.unload('add');
      assert.deepEqual(await Promise.all(waiting), [[2, 2], [2, 2], [2, 2], [2, 2]]);
      assert.equal((await rejection(() => infer(rawRequest([1, 1])))).code, Code.NOT_FOUND);
    });
  });

  describe('REST', () => {
    const post = (body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
      http('/v2/models/add/infer', { method: 'POST', body, headers });

    it('answers JSON with JSON, nested or flat', async () => {
      await load();
      const body = { id: 'q', inputs: [{ name: 'x', datatype: 'UINT8', shape: [2, 2], data: [[1, 2], [3, 4]] }] };
      const response = await post(JSON.stringify(body));
      assert.equal(response.status, 200);
      assert.deepEqual(await response.json(), {
        model_name: 'add',
        model_version: '1',
        id: 'q',
        outputs: [
          { name: 'sum', datatype: 'FP32', shape: [2, 2], data: [2, 3, 4, 5] },
          { name: 'copy', datatype: 'UINT8', shape: [2, 2], data: [1, 2, 3, 4] },
        ],
      });
    });

    it('takes and gives tensors as bytes after the JSON', async () => {
      await load();
      const header = Buffer.from(
        JSON.stringify({
          parameters: { binary_data_output: true },
          inputs: [{ name: 'x', datatype: 'UINT8', shape: [1, 2], parameters: { binary_data_size: 2 } }],
          outputs: [{ name: 'sum' }, { name: 'copy', parameters: { binary_data: false } }],
        }),
      );
      const response = await post(Buffer.concat([header, Buffer.from([4, 5])]), {
        'Inference-Header-Content-Length': String(header.byteLength),
      });
      assert.equal(response.status, 200);
      const bytes = Buffer.from(await response.arrayBuffer());
      const split = Number(response.headers.get('inference-header-content-length'));
      const { outputs } = JSON.parse(bytes.subarray(0, split).toString()) as { outputs: object[] };
      assert.deepEqual(outputs, [
        { name: 'sum', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
        { name: 'copy', datatype: 'UINT8', shape: [1, 2], data: [4, 5] },
      ]);
      assert.deepEqual([...new Float32Array(new Uint8Array(bytes.subarray(split)).buffer)], [5, 6]);
    });

    const refused: readonly { what: string; body: string; headers?: Record<string, string>; text: RegExp }[] = [
      { what: 'no JSON', body: '{', text: /failed to parse the request JSON/ },
      { what: 'a header length beyond the body', body: '{}', headers: { 'inference-header-content-length': '99' }, text: /number from 0 to 2/ },
      { what: 'a header length that is no number', body: '{}', headers: { 'inference-header-content-length': '-1' }, text: /number from 0 to 2/ },
      { what: 'a list as a request', body: '[]', text: /must be a JSON object/ },
      { what: 'data nested without end', body: `{"inputs":[{"name":"x","datatype":"UINT8","shape":[1,2],"data":${'['.repeat(100)}1${']'.repeat(100)}}]}`, text: /too deep/ },
      { what: 'a size beyond the body', body: '{"inputs":[{"name":"x","datatype":"UINT8","shape":[1,2],"parameters":{"binary_data_size":9}}]}', text: /0 are left/ },
    ];
    for (const { what, body, headers, text } of refused) {
      it(`refuses ${what} with 400`, async () => {
        await load();
        const response = await post(body, headers);
        assert.equal(response.status, 400);
        assert.match(((await response.json()) as { error: string }).error, text);
      });
    }

    it('takes a body that is one raw tensor', async () => {
      await load();
      const response = await post(Buffer.from([4, 5]), { 'inference-header-content-length': '0' });
      assert.equal(response.status, 200, await response.clone().text());
      assert.ok(response.headers.get('inference-header-content-length'));
    });

    it('answers health, metadata, statistics, unknown paths and wrong verbs', async () => {
      await load();
      await infer(rawRequest([1, 2]));
      assert.equal((await http('/v2/health/ready')).status, 200);
      assert.equal((await http('/v2/models/none/ready')).status, 503);
      assert.equal((await http('/v2/models/none')).status, 404);
      assert.equal((await http('/v2/nothing')).status, 404);
      assert.equal((await http('/v2/models/add/infer')).status, 405);
      const metadata = (await (await http('/v2/models/add/versions/1')).json()) as { inputs: object[] };
      assert.deepEqual(metadata.inputs, [{ name: 'x', datatype: 'UINT8', shape: [-1, 2] }]);
      const config = (await (await http('/v2/models/add/config')).json()) as { max_batch_size: number };
      assert.equal(config.max_batch_size, 64);
      const stats = (await (await http('/v2/models/add/stats')).json()) as { model_stats: { inference_count: number }[] };
      assert.equal(stats.model_stats[0]?.inference_count, 1);
    });

    it('loads and unloads models', async () => {
      assert.equal((await http('/v2/repository/models/add/load', { method: 'POST', body: '{}' })).status, 200);
      assert.deepEqual(await (await http('/v2/repository/index', { method: 'POST', body: '{"ready":true}' })).json(), [
        { name: 'add', version: '1', state: 'READY', reason: '' },
      ]);
      assert.equal((await http('/v2/repository/models/add/unload', { method: 'POST' })).status, 200);
      assert.equal((await http('/v2/models/add')).status, 404);
    });
  });
});
