import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { Code } from 'lamella/sdk';
import { ModelInferRequestSchema } from 'lamella/proto/inference/grpc_inference_service';
import { callContext } from './infer-fixture.ts';
import { type InferInit, InferSubject, rawRequest, rejection } from './infer-subject.ts';

/** A request that is wrong in one way, and what its caller is told. */
interface GrpcCase {
  readonly what: string;
  readonly request: InferInit;
  readonly text: RegExp;
  readonly code?: number;
}

const RIGHT = { name: 'x', datatype: 'UINT8', shape: [1n, 2n] };
const TWO_BYTES = [Uint8Array.of(1, 2)];

function withInput(change: object, rawInputContents: readonly Uint8Array[] = TWO_BYTES): InferInit {
  return { modelName: 'add', inputs: [{ ...RIGHT, ...change }], rawInputContents: [...rawInputContents] };
}

function changed(change: object): InferInit {
  return { ...withInput({}), ...change } as InferInit;
}

function parameterCases(): GrpcCase[] {
  const values = [
    { case: 'stringParam' as const, value: 'x' },
    { case: 'doubleParam' as const, value: 1.5 },
    { case: 'int64Param' as const, value: -1n },
  ];
  const flags = values.filter(({ case: kind }) => kind !== 'int64Param');
  const wrong = (name: string, parameterChoice: (typeof values)[number]): GrpcCase => ({
    what: `${name} as ${parameterChoice.case} ${String(parameterChoice.value)}`,
    request: rawRequest([1, 2], { parameters: { [name]: { parameterChoice } } }),
    text: new RegExp(name),
  });
  return [
    ...values.flatMap((value) => ['priority', 'timeout'].map((name) => wrong(name, value))),
    ...values.slice(1).map((value) => wrong('sequence_id', value)),
    ...flags.map((parameterChoice) => ({
      what: `classification as ${parameterChoice.case}`,
      request: rawRequest([1, 2], {
        outputs: [{ name: 'sum', parameters: { classification: { parameterChoice } } }],
      }),
      text: /classification|class/,
    })),
  ];
}

/** Two hundred and more, made from tables of what may be wrong. */
function grpcCases(): GrpcCase[] {
  const sizes = Array.from({ length: 80 }, (_, size) => size).filter((size) => size !== 2);
  const datatypes =
    'BOOL INT8 INT16 INT32 INT64 UINT16 UINT32 UINT64 FP16 BF16 FP32 FP64 BYTES uint8 x'.split(' ');
  const shapes = [
    [],
    [2n],
    [2n, 1n],
    [1n, 3n],
    [1n, 1n],
    [1n, 2n, 1n],
    [-1n, 2n],
    [1n, -2n],
    [1n, 2n ** 40n],
    [2n ** 62n, 2n],
  ];
  const names = ['', 'X', 'y', 'x ', '__proto__', 'toString', 'sum', 'x'.repeat(1_000), '\u{1f600}', 'ｘ'];
  const models = [
    '',
    'Add',
    'add ',
    'addd',
    '__proto__',
    'toString',
    '../add',
    'a/b',
    'x'.repeat(2_000),
    '\u0000',
  ];
  const versions = ['2', '0', '-1', 'x', '1.0', '01', '9'.repeat(40)];
  const lists = [
    'boolContents',
    'intContents',
    'int64Contents',
    'uint64Contents',
    'fp32Contents',
    'bytesContents',
  ];
  const counts = Array.from({ length: 50 }, (_, count) => count).filter((count) => count !== 2);
  return [
    ...sizes.map((size) => ({
      what: `${size} bytes instead of 2`,
      request: withInput({}, [new Uint8Array(size)]),
      text: new RegExp(`unexpected total byte size ${size} for input 'x'.*expecting 2|${size}`),
    })),
    ...datatypes.map((datatype) => ({
      what: `the data type '${datatype}'`,
      request: withInput({ datatype }),
      text: new RegExp(`data-type is '${datatype}', but model 'add' expects 'UINT8'`),
    })),
    ...shapes.map((shape) => ({
      what: `the shape [${shape.join(',')}]`,
      request: withInput({ shape }),
      text: /unexpected shape for input 'x'/,
    })),
    ...names.map((name) => ({
      what: `an input named '${name.slice(0, 10)}'`,
      request: withInput({ name }),
      text: /unexpected inference input|missing required input/,
    })),
    ...models.map((modelName) => ({
      what: `the model '${modelName.slice(0, 10)}'`,
      request: changed({ modelName }),
      text: /./,
      code: Code.NOT_FOUND,
    })),
    ...versions.map((modelVersion) => ({
      what: `the version '${modelVersion.slice(0, 10)}'`,
      request: changed({ modelVersion }),
      text: /version/,
      code: Code.NOT_FOUND,
    })),
    ...names
      .filter((name) => name !== 'sum')
      .map((name) => ({
        what: `an output named '${name.slice(0, 10)}'`,
        request: rawRequest([1, 2], { outputs: [{ name }] }),
        text: /unexpected inference output/,
      })),
    ...lists.map((list) => ({
      what: `values in ${list}`,
      request: withInput({ contents: { [list]: [] } }, []),
      text: /x/,
    })),
    ...counts.map((count) => ({
      what: `${count} typed values instead of 2`,
      request: withInput({ contents: { uintContents: Array.from({ length: count }, () => 1) } }, []),
      text: new RegExp(String(count)),
    })),
    ...[2, 3, 10, 100].map((count) => ({
      what: `${count} raw contents`,
      request: withInput(
        {},
        Array.from({ length: count }, () => Uint8Array.of(1, 2)),
      ),
      text: new RegExp(`expected 1 raw input contents but got ${count}`),
    })),
    ...parameterCases(),
    { what: 'no inputs', request: { modelName: 'add' }, text: /expected 1 inputs but got 0/ },
    {
      what: 'an input twice',
      request: changed({ inputs: [RIGHT, RIGHT], rawInputContents: [...TWO_BYTES, ...TWO_BYTES] }),
      text: /twice/,
    },
    {
      what: 'an output twice',
      request: rawRequest([1, 2], { outputs: [{ name: 'sum' }, { name: 'sum' }] }),
      text: /already exists/,
    },
    { what: 'no content', request: withInput({}, []), text: /unable to find data/ },
    {
      what: 'content in both forms',
      request: withInput({ contents: { uintContents: [1, 2] } }),
      text: /must not be specified/,
    },
    {
      what: 'too many rows',
      request: rawRequest(Array.from({ length: 130 }, () => 1)),
      text: /batch-size must be/,
    },
    { what: 'no rows', request: rawRequest([]), text: /batch-size must be/ },
  ];
}

describe('malformed requests to serving.infer over gRPC', () => {
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

  it('get their status and a sentence that names what is wrong: 200 of them', async () => {
    const cases = grpcCases();
    const wrong: string[] = [];
    assert.ok(cases.length >= 200, `${cases.length}`);
    for (const { what, request, text, code = Code.INVALID_ARGUMENT } of cases) {
      const message = create(ModelInferRequestSchema, request);
      const got = await rejection(() => subject.service.modelInfer(message, callContext()));
      if (got.code !== code || !text.test(got.message)) wrong.push(`${what}: ${got.code} ${got.message}`);
    }
    assert.deepEqual(wrong, []);
  }).timeout(20_000);
});
