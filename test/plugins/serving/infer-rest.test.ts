import assert from 'node:assert/strict';
import { InferSubject, rawRequest } from './infer-subject.ts';

describe('serving.infer over REST', function () {
  this.timeout(60_000);
  let subject: InferSubject;

  beforeEach(async () => {
    subject = new InferSubject();
    await subject.repository.restore();
  });
  afterEach(() => subject.repository.close());

  const post = (body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
    subject.http('/v2/models/add/infer', { method: 'POST', body, headers });

  it('answers JSON with JSON, nested or flat', async () => {
    await subject.load();
    const body = {
      id: 'q',
      inputs: [
        {
          name: 'x',
          datatype: 'UINT8',
          shape: [2, 2],
          data: [
            [1, 2],
            [3, 4],
          ],
        },
      ],
    };
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
    await subject.load();
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

  it('gives the highest classes as text', async () => {
    await subject.load();
    const body = {
      inputs: [{ name: 'x', datatype: 'UINT8', shape: [1, 2], data: [3, 9] }],
      outputs: [{ name: 'sum', parameters: { classification: 2 } }],
    };
    const response = await post(JSON.stringify(body));
    const { outputs } = (await response.json()) as { outputs: object[] };
    assert.deepEqual(outputs, [
      { name: 'sum', datatype: 'BYTES', shape: [1, 2], data: ['10.000000:1', '4.000000:0'] },
    ]);
  });

  const refused: readonly { what: string; body: string; headers?: Record<string, string>; text: RegExp }[] = [
    { what: 'no JSON', body: '{', text: /failed to parse the request JSON/ },
    {
      what: 'a header length beyond the body',
      body: '{}',
      headers: { 'inference-header-content-length': '99' },
      text: /number from 0 to 2/,
    },
    {
      what: 'a header length that is no number',
      body: '{}',
      headers: { 'inference-header-content-length': '-1' },
      text: /number from 0 to 2/,
    },
    { what: 'a list as a request', body: '[]', text: /must be a JSON object/ },
    {
      what: 'data nested without end',
      body: `{"inputs":[{"name":"x","datatype":"UINT8","shape":[1,2],"data":${'['.repeat(100)}1${']'.repeat(100)}}]}`,
      text: /too deep/,
    },
    {
      what: 'a size beyond the body',
      body: '{"inputs":[{"name":"x","datatype":"UINT8","shape":[1,2],"parameters":{"binary_data_size":9}}]}',
      text: /0 are left/,
    },
  ];
  for (const { what, body, headers, text } of refused) {
    it(`refuses ${what} with 400`, async () => {
      await subject.load();
      const response = await post(body, headers);
      assert.equal(response.status, 400);
      assert.match(((await response.json()) as { error: string }).error, text);
    });
  }

  it('takes a body that is one raw tensor', async () => {
    await subject.load();
    const response = await post(Buffer.from([4, 5]), { 'inference-header-content-length': '0' });
    assert.equal(response.status, 200, await response.clone().text());
    assert.ok(response.headers.get('inference-header-content-length'));
  });

  it('answers health, metadata, statistics, unknown paths and wrong verbs', async () => {
    await subject.load();
    await subject.infer(rawRequest([1, 2]));
    assert.equal((await subject.http('/v2/health/ready')).status, 200);
    assert.equal((await subject.http('/v2/models/none/ready')).status, 503);
    assert.equal((await subject.http('/v2/models/none')).status, 404);
    assert.equal((await subject.http('/v2/nothing')).status, 404);
    assert.equal((await subject.http('/v2/models/add/infer')).status, 405);
    assert.deepEqual(await (await subject.http('/v2/models/add/versions/1')).json(), {
      name: 'add',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'UINT8', shape: [-1, 2] }],
      outputs: [
        { name: 'sum', datatype: 'FP32', shape: [-1, 2] },
        { name: 'copy', datatype: 'UINT8', shape: [-1, 2] },
      ],
    });
    const config = (await (await subject.http('/v2/models/add/config')).json()) as { max_batch_size: number };
    assert.equal(config.max_batch_size, 64);
    const stats = (await (await subject.http('/v2/models/add/stats')).json()) as {
      model_stats: { version: string; inference_count: number }[];
    };
    assert.equal(stats.model_stats[0]?.inference_count, 1);
    assert.equal(stats.model_stats[0].version, '1');
  });

  it('loads and unloads models', async () => {
    assert.equal(
      (await subject.http('/v2/repository/models/add/load', { method: 'POST', body: '{}' })).status,
      200,
    );
    assert.deepEqual(
      await (await subject.http('/v2/repository/index', { method: 'POST', body: '{"ready":true}' })).json(),
      [{ name: 'add', version: '1', state: 'READY', reason: '' }],
    );
    assert.equal((await subject.http('/v2/repository/models/add/unload', { method: 'POST' })).status, 200);
    assert.equal((await subject.http('/v2/models/add')).status, 404);
  });
});
