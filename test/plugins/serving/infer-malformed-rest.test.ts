import assert from 'node:assert/strict';
import { InferSubject, rawRequest } from './infer-subject.ts';

interface RestCase {
  readonly what: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
  readonly status?: number;
  readonly text?: RegExp;
}

const REST_INPUT = { name: 'x', datatype: 'UINT8', shape: [1, 2], data: [1, 2] };

function restInput(change: object): string {
  return JSON.stringify({ inputs: [{ ...REST_INPUT, ...change }] });
}

function restCases(): RestCase[] {
  const counts = Array.from({ length: 80 }, (_, count) => count).filter((count) => count !== 2);
  const texts = [
    '',
    ' ',
    '{',
    '}',
    '[',
    '[]',
    'null',
    'true',
    '1',
    '"x"',
    '{]',
    '{"inputs"}',
    '{"inputs":}',
    "{'inputs':[]}",
    'NaN',
    '{"a":1,}',
    '\u0000',
    '<xml/>',
    'inputs=1',
    '{"inputs":[1]}',
    '{"inputs":{}}',
    '{"inputs":"x"}',
    '{"inputs":null}',
    '{"inputs":[null]}',
    '{"inputs":[[]]}',
  ];
  const values = [
    null,
    {},
    [],
    'x',
    1,
    true,
    [null, 1],
    [{}, 1],
    ['a', 'b'],
    [true, false],
    [[1, 2], {}],
    [1, '2'],
  ];
  const shapes = [
    null,
    'x',
    1,
    {},
    [],
    [2],
    ['1', '2'],
    [1, 3],
    [1, 2, 1],
    [-1, 2],
    [1.5, 2],
    [1, 2e300],
    [null, 2],
    [[1], 2],
  ];
  const names = [null, 1, true, {}, [], '', 'X', '__proto__', 'toString', 'x'.repeat(1_000)];
  const datatypes = [null, 1, {}, '', 'uint8', 'FP16', 'BF16', 'FP32', 'INT64', 'BYTES', 'x'];
  const lengths = ['-1', 'x', '1e3', '999999', '99999999999999999999', '1.5', ' ', '0x10'];
  const sizes = [-1, 1, 3, 1.5, '2', null, 1e300, 2 ** 53];
  const header = (json: string): Record<string, string> => ({
    'inference-header-content-length': String(Buffer.byteLength(json)),
  });
  const binary = (size: unknown): RestCase => {
    const json = restInput({ data: undefined, parameters: { binary_data_size: size } });
    return {
      what: `binary_data_size ${JSON.stringify(size)}`,
      body: `${json}\u0001\u0002`,
      headers: header(json),
    };
  };
  return [
    ...texts.map((body) => ({ what: `the body ${body}`, body })),
    ...counts.map((count) => ({
      what: `${count} values instead of 2`,
      body: restInput({ data: Array.from({ length: count }, () => 1) }),
      text: new RegExp(String(count)),
    })),
    ...values.map((data) => ({ what: `the data ${JSON.stringify(data)}`, body: restInput({ data }) })),
    ...shapes.map((shape) => ({
      what: `the shape ${JSON.stringify(shape)}`,
      body: restInput({ shape }),
      text: /shape/,
    })),
    ...names.map((name) => ({
      what: `the name ${JSON.stringify(name).slice(0, 10)}`,
      body: restInput({ name }),
      text: /input|name/,
    })),
    ...datatypes.map((datatype) => ({
      what: `the data type ${JSON.stringify(datatype)}`,
      body: restInput({ datatype }),
      text: /data-?type|JSON/,
    })),
    ...lengths.map((length) => ({
      what: `the header length ${length}`,
      body: restInput({}),
      headers: { 'inference-header-content-length': length },
    })),
    ...sizes.map(binary),
    ...['gzip', 'deflate', 'br', 'zstd', 'toString'].map((encoding) => ({
      what: `the encoding ${encoding}`,
      body: restInput({}),
      headers: { 'content-encoding': encoding },
    })),
    ...['Add', 'x', '__proto__', '%2e%2e', 'a%2Fb', '%00', 'x'.repeat(500)].map((model) => ({
      what: `the model ${model.slice(0, 10)}`,
      body: restInput({}),
      path: `/v2/models/${model}/infer`,
      status: 404,
    })),
    ...['2', '0', 'x', '-1'].map((version) => ({
      what: `the version ${version}`,
      body: restInput({}),
      path: `/v2/models/add/versions/${version}/infer`,
      status: 404,
    })),
    ...[30, 100, 1_000, 100_000].map((depth) => ({
      what: `lists ${depth} deep`,
      body: `{"inputs":[{"name":"x","datatype":"UINT8","shape":[1,2],"data":${'['.repeat(depth)}1${']'.repeat(depth)}}]}`,
    })),
    ...[1, 'x', {}, [1], [null], [{}], [{ name: 1 }], [{ name: 'x' }]].map((outputs) => ({
      what: `the outputs ${JSON.stringify(outputs)}`,
      body: JSON.stringify({ inputs: [REST_INPUT], outputs }),
    })),
    ...['priority', 'timeout', 'sequence_id', 'sequence_start'].flatMap((name) =>
      [-1, 1.5, {}].map((value) => ({
        what: `${name} ${JSON.stringify(value)}`,
        body: JSON.stringify({
          inputs: [REST_INPUT],
          parameters: { sequence_id: 1, [name]: value },
        }),
      })),
    ),
    { what: 'bytes that are no UTF-8', body: Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d) },
    { what: 'an input twice', body: JSON.stringify({ inputs: [REST_INPUT, REST_INPUT] }), text: /twice/ },
    {
      what: 'too many rows',
      body: restInput({ shape: [65, 2], data: Array.from({ length: 130 }, () => 1) }),
      text: /batch-size/,
    },
  ];
}

describe('malformed requests to serving.infer over REST', () => {
  let subject: InferSubject;

  before(async () => {
    subject = new InferSubject();
    await subject.load();
  });
  after(() => subject.repository.close());
  /** What is right is answered still. */
  afterEach(async () => {
    assert.deepEqual(await subject.infer(rawRequest([1, 2])), [2, 3]);
  });

  it('get their status and a sentence: 200 of them', async () => {
    const cases = restCases();
    const wrong: string[] = [];
    assert.ok(cases.length >= 200, `${cases.length}`);
    for (const {
      what,
      body,
      headers = {},
      path = '/v2/models/add/infer',
      status = 400,
      text = /./,
    } of cases) {
      const response = await subject.http(path, {
        method: 'POST',
        body: Buffer.from(body),
        headers: { ...headers },
      });
      const answer = await response.text();
      const { error = '' } = JSON.parse(answer) as { readonly error?: string };
      if (response.status !== status || !text.test(error))
        wrong.push(`${what}: ${response.status} ${answer}`);
    }
    assert.deepEqual(wrong, []);
  }).timeout(20_000);
});
