import assert from 'node:assert/strict';
import { deflateSync, gzipSync } from 'node:zlib';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { isDeclaredError } from 'lamella/sdk';
import {
  type ModelInferRequest,
  ModelInferRequestSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { completeConfig } from '../../plugins/serving/infer/complete-config.ts';
import { readConfigJson, readConfigText } from '../../plugins/serving/infer/config-text.ts';
import { completeEnsemble } from '../../plugins/serving/infer/ensemble-plan.ts';
import { readLoadParameters } from '../../plugins/serving/infer/load-request.ts';
import { readShapeBuckets } from '../../plugins/serving/infer/shape-buckets.ts';
import { assertSupported, sessionSettings } from '../../plugins/serving/infer/supported-config.ts';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../support/fuzz-runs.ts';
import { callContext } from '../plugins/serving/infer-fixture.ts';
import { InferSubject } from '../plugins/serving/infer-subject.ts';

const REASONS: ReadonlySet<string> = new Set([
  'REQUEST_INVALID',
  'MODEL_LOAD_FAILED',
  'MODEL_UNKNOWN',
  'METHOD_UNSUPPORTED',
]);

/** Runs work on hostile input: it may succeed, or refuse with an error of the plugin. */
async function refusesOnlyBySentence(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    assert.ok(isDeclaredError(error) && REASONS.has(error.reason), String(error));
  }
}

const name = fc.oneof(fc.constantFrom('x', 'sum', 'copy', 'add', '', '__proto__', 'toString'), fc.string());
const size = fc.oneof(
  fc.bigInt({ min: -3n, max: 5n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const parameterChoice = fc.oneof(
  fc.record({ case: fc.constant('boolParam' as const), value: fc.boolean() }),
  fc.record({ case: fc.constant('int64Param' as const), value: size }),
  fc.record({ case: fc.constant('stringParam' as const), value: fc.string() }),
  fc.record({ case: fc.constant('doubleParam' as const), value: fc.double() }),
);
const parameters = fc.dictionary(
  fc.constantFrom(
    'priority',
    'timeout',
    'sequence_id',
    'sequence_start',
    'sequence_end',
    'classification',
    'shared_memory_region',
    'shared_memory_byte_size',
    'shared_memory_offset',
    'other',
  ),
  parameterChoice.map((choice) => ({ parameterChoice: choice })),
);
const tensor = fc.record({
  name,
  datatype: fc.constantFrom('UINT8', 'FP32', 'BYTES', 'INT64', 'BF16', ''),
  shape: fc.array(size, { maxLength: 4 }),
  parameters,
  contents: fc.option(fc.record({ uintContents: fc.array(fc.nat(300), { maxLength: 4 }) }), {
    nil: undefined,
  }),
});
const request: fc.Arbitrary<ModelInferRequest> = fc
  .record({
    modelName: fc.constantFrom('add', 'add', 'add', 'other', '__proto__'),
    modelVersion: fc.constantFrom('', '1', '-1', 'x'),
    parameters,
    inputs: fc.array(tensor, { maxLength: 3 }),
    outputs: fc.array(fc.record({ name, parameters }), { maxLength: 3 }),
    rawInputContents: fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 3 }),
  })
  .map((init) =>
    create(ModelInferRequestSchema, {
      ...init,
      inputs: init.inputs.map(({ contents, ...input }) => ({
        ...input,
        ...(contents !== undefined && { contents }),
      })),
    }),
  );

describe('serving.infer under hostile requests', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let subject: InferSubject;

  before(async () => {
    subject = new InferSubject(undefined, { allowSharedMemory: true });
    await subject.load();
  });
  after(() => subject.repository.close());
  /** What is right is answered still. */
  afterEach(async () => {
    const inputs = [{ name: 'x', datatype: 'UINT8', shape: [1n, 2n] }];
    const right = { modelName: 'add', inputs, rawInputContents: [Uint8Array.of(1, 2)] };
    assert.deepEqual(await subject.infer(right), [2, 3]);
  });

  const post = (
    path: string,
    body: Uint8Array | string,
    headers: Record<string, string> = {},
  ): Promise<Response> => subject.http(path, { method: 'POST', body: Buffer.from(body), headers });

  it('refuses gRPC requests of any names, types, shapes, sizes and parameters by a sentence', async () => {
    const work = (message: ModelInferRequest): Promise<void> =>
      refusesOnlyBySentence(() => subject.service.modelInfer(message, callContext()));
    await fc.assert(fc.asyncProperty(request, work), { numRuns: fuzzRuns(300) });
  });

  it('refuses REST requests of any JSON, header length and encoding with a status of the caller', async () => {
    const body = fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .record({ inputs: fc.array(fc.anything()), outputs: fc.anything(), parameters: fc.anything() })
        .map((value) => {
          try {
            return JSON.stringify(value) ?? '';
          } catch {
            return '';
          }
        }),
      fc.integer({ min: 1, max: 20_000 }).map((depth) => '['.repeat(depth)),
    );
    const headers = fc.record(
      {
        'inference-header-content-length': fc.constantFrom(
          '0',
          '3',
          '-1',
          '1e9',
          '99999999999999999999',
          'x',
        ),
        'content-encoding': fc.constantFrom('gzip', 'deflate', 'br', 'identity', 'toString'),
      },
      { requiredKeys: [] },
    );
    const path = fc
      .constantFrom('infer', 'generate', 'generate_stream', 'versions/9/infer')
      .map((end) => `/v2/models/add/${end}`);
    await fc.assert(
      fc.asyncProperty(path, body, headers, async (to, text, given) => {
        const { status } = await post(to, text, given);
        assert.ok(status === 200 || (status >= 400 && status < 500), String(status));
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('takes packed bodies, and refuses small ones that unpack to huge ones', async () => {
    const text = JSON.stringify({ x: [1, 2] });
    for (const [encoding, body] of [
      ['gzip', gzipSync(text)],
      ['deflate', deflateSync(text)],
    ] as const) {
      const response = await post('/v2/models/add/generate', body, { 'content-encoding': encoding });
      const answer = (await response.json()) as object;
      assert.deepEqual(answer, { model_name: 'add', model_version: '1', sum: [2, 3], copy: [1, 2] });
    }
    const bomb = gzipSync(Buffer.alloc(65 * 1_024 * 1_024));
    assert.ok(bomb.byteLength < 100_000);
    assert.equal((await post('/v2/models/add/infer', bomb, { 'content-encoding': 'gzip' })).status, 400);
  });

  it('answers a generate request as an event, and what is wrong as any other error', async () => {
    const response = await post('/v2/models/add/generate_stream', '{"id": "7", "parameters": {"x": [1, 2]}}');
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    const [, data = ''] = /^data: (.*)\n\n$/.exec(await response.text()) ?? [];
    assert.deepEqual(JSON.parse(data), {
      model_name: 'add',
      model_version: '1',
      id: '7',
      sum: [2, 3],
      copy: [1, 2],
    });
    assert.equal((await post('/v2/models/add/generate_stream', '{"x": "text"}')).status, 400);
    assert.equal((await post('/v2/models/none/generate', '{}')).status, 404);
  });

  const field = fc.constantFrom(
    'max_batch_size: 4',
    'name: "m"',
    'platform: "ensemble"',
    'input { name: "x" dims: [ 2 ] data_type: TYPE_FP32 }',
    'output { name: "y" dims: [ -1, 99999999999 ] reshape { shape: [] } }',
    'instance_group { count: -5 kind: KIND_GPU gpus: [ 0, 1 ] }',
    'version_policy { specific { versions: [ -1, 0 ] } }',
    'parameters { key: "shape_buckets" value { string_value: "{}" } }',
    'dynamic_batching { priority_levels: 18446744073709551615 }',
    'ensemble_scheduling { step { model_name: "m" input_map { key: "x" value: "x" } } }',
    'optimization { graph { level: 77 } }',
    'unknown: 1',
    '}',
    '{',
    '"',
    '# note',
  );

  it('refuses any configuration by a sentence', async () => {
    const facts = {
      model: 'm',
      inputs: [{ name: 'x', type: 'float32' as const, dims: [-1, 2] }],
      outputs: [{ name: 'y', type: 'float32' as const, dims: [-1] }],
      maxBatchRows: 8,
      instances: 1,
    };
    const text = fc.oneof(
      fc.array(field, { maxLength: 6 }).map((fields) => fields.join('\n')),
      fc.string(),
    );
    const check = (config: ReturnType<typeof readConfigText>): void => {
      assertSupported('m', config);
      sessionSettings('m', config);
      if (config.schedulingChoice.case === 'ensembleScheduling') completeEnsemble('m', config);
      else readShapeBuckets(completeConfig(config, facts));
    };
    await fc.assert(
      fc.asyncProperty(text, (given) => refusesOnlyBySentence(() => check(readConfigText('m', given)))),
      { numRuns: fuzzRuns(500) },
    );
    await fc.assert(
      fc.asyncProperty(fc.json(), (given) => refusesOnlyBySentence(() => check(readConfigJson('m', given)))),
      { numRuns: fuzzRuns(200) },
    );
    const deep = `${'{"ensemble_scheduling":'.repeat(50_000)}1${'}'.repeat(50_000)}`;
    await refusesOnlyBySentence(() => readConfigJson('m', deep));
    await refusesOnlyBySentence(() => readConfigText('m', 'input {'.repeat(50_000)));
  });

  it('refuses any parameters of a load by a sentence', async () => {
    const value = fc.oneof(fc.string(), fc.uint8Array(), fc.anything());
    const key = fc.oneof(
      fc.string(),
      fc.constantFrom('config', 'version', 'file:1/a', 'file:../a', 'file:1/..', 'file:0/a'),
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, value), (given) =>
        refusesOnlyBySentence(() => readLoadParameters(given)),
      ),
      { numRuns: fuzzRuns(300) },
    );
  });
});
