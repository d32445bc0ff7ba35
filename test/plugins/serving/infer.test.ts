import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { Code } from 'lamella/sdk';
import {
  type ModelInferRequest,
  ModelInferRequestSchema,
  ModelMetadataRequestSchema,
  RepositoryIndexRequestSchema,
  ServerMetadataRequestSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { readBytesTensor } from '../../../plugins/serving/infer/bytes-tensor.ts';
import { addModel, callContext } from './infer-fixture.ts';
import { type InferInit, InferSubject, rawRequest, rejection } from './infer-subject.ts';

describe('serving.infer', function () {
  this.timeout(60_000);
  let subject: InferSubject;

  beforeEach(() => {
    subject = new InferSubject();
  });
  afterEach(() => subject.repository.close());

  describe('gRPC', () => {
    it('describes the server and a loaded model', async () => {
      await subject.load();
      const server = await subject.service.serverMetadata(create(ServerMetadataRequestSchema), callContext());
      assert.equal(server.name, 'lamella');
      assert.ok(server.extensions?.includes('binary_tensor_data'));
      const model = await subject.service.modelMetadata(
        create(ModelMetadataRequestSchema, { name: 'add' }),
        callContext(),
      );
      assert.deepEqual(model.versions, ['1']);
      assert.deepEqual(model.inputs, [{ name: 'x', datatype: 'UINT8', shape: [-1n, 2n] }]);
      assert.deepEqual(model.outputs, [
        { name: 'sum', datatype: 'FP32', shape: [-1n, 2n] },
        { name: 'copy', datatype: 'UINT8', shape: [-1n, 2n] },
      ]);
    });

    it('answers raw and typed contents with raw contents', async () => {
      await subject.load();
      assert.deepEqual(await subject.infer(rawRequest([1, 2, 3, 4])), [2, 3, 4, 5]);
      const inputs = [{ name: 'x', datatype: 'UINT8', shape: [1n, 2n], contents: { uintContents: [7, 8] } }];
      assert.deepEqual(await subject.infer({ modelName: 'add', inputs }), [8, 9]);
    });

    it('gives every caller its own rows, and only the outputs it names', async () => {
      await subject.load();
      const answers = await Promise.all(
        Array.from({ length: 150 }, (_, row) => subject.infer(rawRequest([row, row % 7]))),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 150 }, (_, row) => [row + 1, (row % 7) + 1]),
      );
      const request = create(
        ModelInferRequestSchema,
        rawRequest([1, 2], { id: 'a', outputs: [{ name: 'copy' }] }),
      );
      const response = await subject.service.modelInfer(request, callContext());
      assert.deepEqual(response.outputs, [{ name: 'copy', datatype: 'UINT8', shape: [1n, 2n] }]);
      assert.equal(response.id, 'a');
    });

    it('gives the highest classes of each row where they are asked for', async () => {
      await subject.load();
      const wanted = (name: string, value: bigint): NonNullable<InferInit['outputs']>[number] => ({
        name,
        parameters: { classification: { parameterChoice: { case: 'int64Param', value } } },
      });
      const outputs = [wanted('sum', 1n), wanted('copy', 9n)];
      const request = create(ModelInferRequestSchema, rawRequest([1, 2, 4, 3], { outputs }));
      const response = await subject.service.modelInfer(request, callContext());
      assert.deepEqual(response.outputs, [
        { name: 'sum', datatype: 'BYTES', shape: [2n, 1n] },
        { name: 'copy', datatype: 'BYTES', shape: [2n, 2n] },
      ]);
      const [sum, copy] = (response.rawOutputContents ?? []).map((bytes) => readBytesTensor(bytes, ''));
      assert.deepEqual(sum, ['3.000000:1', '5.000000:0']);
      assert.deepEqual(copy, ['2:1', '1:0', '4:0', '3:1']);
    });

    const wrong: readonly { what: string; request: InferInit; code: number; text: RegExp }[] = [
      {
        what: 'an unknown model',
        request: rawRequest([1, 2], { modelName: 'none' }),
        code: Code.NOT_FOUND,
        text: /^Request for unknown model: 'none'/,
      },
      {
        what: 'a version that is not loaded',
        request: rawRequest([1, 2], { modelVersion: '9' }),
        code: Code.NOT_FOUND,
        text: /^Request for unknown model: 'add' version 9/,
      },
      {
        what: 'a missing input',
        request: { modelName: 'add' },
        code: Code.INVALID_ARGUMENT,
        text: /expected 1 inputs but got 0/,
      },
      {
        what: 'an unknown input',
        request: rawRequest([1, 2], { inputs: [{ name: 'z', datatype: 'UINT8', shape: [1n, 2n] }] }),
        code: Code.INVALID_ARGUMENT,
        text: /unexpected inference input 'z'/,
      },
      {
        what: 'another type',
        request: rawRequest([1, 2], { inputs: [{ name: 'x', datatype: 'FP32', shape: [1n, 2n] }] }),
        code: Code.INVALID_ARGUMENT,
        text: /data-type is 'FP32'.*expects 'UINT8'/,
      },
      {
        what: 'another shape',
        request: rawRequest([1, 2], { inputs: [{ name: 'x', datatype: 'UINT8', shape: [2n] }] }),
        code: Code.INVALID_ARGUMENT,
        text: /Expected \[-1,2\], got \[2\]/,
      },
      {
        what: 'a negative size',
        request: rawRequest([1, 2], { inputs: [{ name: 'x', datatype: 'UINT8', shape: [-1n, 2n] }] }),
        code: Code.INVALID_ARGUMENT,
        text: /unexpected shape/,
      },
      {
        what: 'too few bytes',
        request: rawRequest([1, 2], { rawInputContents: [new Uint8Array(1)] }),
        code: Code.INVALID_ARGUMENT,
        text: /size 1 bytes .* expecting 2/,
      },
      {
        what: 'no content',
        request: rawRequest([1, 2], { rawInputContents: [] }),
        code: Code.INVALID_ARGUMENT,
        text: /unable to find data for input tensor 'x'/,
      },
      {
        what: 'no rows',
        request: rawRequest([]),
        code: Code.INVALID_ARGUMENT,
        text: /batch-size must be >= 1 and <= 64/,
      },
      {
        what: 'too many rows',
        request: rawRequest(Array.from({ length: 130 }, () => 1)),
        code: Code.INVALID_ARGUMENT,
        text: /batch-size.*got 65/,
      },
      {
        what: 'an unknown output',
        request: rawRequest([1, 2], { outputs: [{ name: 'q' }] }),
        code: Code.INVALID_ARGUMENT,
        text: /unexpected inference output 'q'/,
      },
      {
        what: 'a number of classes that is none',
        request: rawRequest([1, 2], {
          outputs: [
            {
              name: 'sum',
              parameters: { classification: { parameterChoice: { case: 'int64Param', value: 0n } } },
            },
          ],
        }),
        code: Code.INVALID_ARGUMENT,
        text: /'classification' of output 'sum' must be a number from 1/,
      },
      {
        what: 'an output in shared memory, which is not allowed',
        request: rawRequest([1, 2], {
          outputs: [
            {
              name: 'sum',
              parameters: {
                shared_memory_region: { parameterChoice: { case: 'stringParam', value: 'r' } },
                shared_memory_byte_size: { parameterChoice: { case: 'int64Param', value: 8n } },
              },
            },
          ],
        }),
        code: Code.UNIMPLEMENTED,
        text: /^System shared memory is not supported.*allowSharedMemory/,
      },
    ];
    for (const { what, request, code, text } of wrong) {
      it(`refuses ${what}`, async () => {
        await subject.load();
        const error = await rejection(() => subject.infer(request));
        assert.equal(error.code, code);
        assert.match(error.message, text);
      });
    }

    it('answers a stream in order and puts errors into it', async () => {
      await subject.load();
      const requests = [
        rawRequest([1, 1], { id: 'a' }),
        { modelName: 'none', id: 'b' },
        rawRequest([3, 3], { id: 'c' }),
      ];
      async function* send(): AsyncGenerator<ModelInferRequest> {
        for (const request of requests) yield create(ModelInferRequestSchema, request);
      }
      const answers = [];
      for await (const answer of subject.service.modelStreamInfer(send(), callContext()))
        answers.push(answer);
      assert.deepEqual(
        answers.map(({ inferResponse }) => inferResponse?.id),
        ['a', 'b', 'c'],
      );
      assert.match(answers[1]?.errorMessage ?? '', /^Request for unknown model/);
      assert.equal(answers[2]?.errorMessage, '');
    });

    it('says of a method that it does not have what to do instead', async () => {
      const error = await rejection(() =>
        subject.service.cudaSharedMemoryRegister({} as never, callContext()),
      );
      assert.equal(error.code, Code.UNIMPLEMENTED);
      assert.match(error.message, /CudaSharedMemoryRegister is not supported/);
    });
  });

  describe('repository', () => {
    it('replaces a version while requests go on and loses none', async () => {
      await subject.load();
      subject.registry.add('add', addModel(10));
      let stop = false;
      const seen = new Set<number>();
      const traffic = (async () => {
        while (!stop)
          for (const [value = 0] of await Promise.all([1, 2, 3].map(() => subject.infer(rawRequest([1, 1])))))
            seen.add(value);
      })();
      await subject.load();
      assert.deepEqual(await subject.infer(rawRequest([1, 1])), [11, 11]);
      stop = true;
      await traffic;
      assert.ok([...seen].every((value) => value === 2 || value === 11));
      assert.deepEqual(await subject.infer(rawRequest([1, 1], { modelVersion: '2' })), [11, 11]);
    });

    it('loads a version by number and keeps what is loaded when a load fails', async () => {
      subject.registry.add('add', addModel(10));
      subject.registry.add('add', Uint8Array.from([1, 2, 3]));
      await subject.load('1');
      assert.deepEqual(await subject.infer(rawRequest([1, 1])), [2, 2]);
      assert.equal((await rejection(() => subject.load('3'))).code, Code.FAILED_PRECONDITION);
      const missing = await rejection(() => subject.load('7'));
      assert.equal(missing.code, Code.NOT_FOUND);
      assert.match(missing.message, /failed to load 'add'.*versions\/7/);
      assert.deepEqual(await subject.infer(rawRequest([1, 1])), [2, 2]);
    });

    it('loads again after a restart what was loaded', async () => {
      await subject.load();
      subject.registry.add('add', addModel(10));
      await subject.repository.close();
      subject = new InferSubject(subject);
      await subject.repository.restore();
      assert.deepEqual(await subject.infer(rawRequest([1, 1])), [2, 2]);
    });

    it('lists registered models with their state', async () => {
      subject.registry.add('other', addModel(2));
      await subject.load();
      const index = await subject.service.repositoryIndex(
        create(RepositoryIndexRequestSchema),
        callContext(),
      );
      assert.deepEqual(
        index.models?.map(({ name, version, state }) => [name, version, state]),
        [
          ['add', '1', 'READY'],
          ['other', '', 'UNAVAILABLE'],
        ],
      );
    });

    it('lets a request end that was waiting when its model was unloaded', async () => {
      await subject.load();
      const waiting = [1, 2, 3, 4].map(() => subject.infer(rawRequest([1, 1])));
      await subject.repository.unload('add');
      assert.deepEqual(await Promise.all(waiting), [
        [2, 2],
        [2, 2],
        [2, 2],
        [2, 2],
      ]);
      assert.equal((await rejection(() => subject.infer(rawRequest([1, 1])))).code, Code.NOT_FOUND);
    });
  });
});
