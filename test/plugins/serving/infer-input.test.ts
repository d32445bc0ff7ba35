import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { isDeclaredError } from 'lamella/sdk';
import type { OrtTensors } from 'lamella/sdk/ort';
import { ModelInferRequestSchema } from 'lamella/proto/inference/grpc_inference_service';
import { batchKey, joinRows, splitRows } from '../../../plugins/serving/infer/batch.ts';
import { readBytesTensor, writeBytesTensor } from '../../../plugins/serving/infer/bytes-tensor.ts';
import { completeConfig } from '../../../plugins/serving/infer/complete-config.ts';
import { grpcInputs } from '../../../plugins/serving/infer/grpc-tensors.ts';
import { readFeeds } from '../../../plugins/serving/infer/infer-input.ts';
import { modelShape } from '../../../plugins/serving/infer/model-shape.ts';
import { readInferRequest } from '../../../plugins/serving/infer/rest-request.ts';
import { SharedMemory } from '../../../plugins/serving/infer/shared-memory.ts';

const CONFIG = completeConfig(undefined, {
  model: 'm',
  inputs: [
    { name: 'x', type: 'uint8', dims: [-1, 2] },
    { name: 'y', type: 'string', dims: [-1] },
  ],
  outputs: [{ name: 'z', type: 'float32', dims: [-1] }],
  maxBatchRows: 8,
  instances: 1,
});
const MODEL = modelShape(CONFIG, '1');

/** Runs work on hostile input: it may succeed, or refuse with an error of this plugin. */
function refusesOnlyBySentence(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    assert.ok(isDeclaredError(error) && error.reason === 'REQUEST_INVALID', String(error));
  }
}

const rows: fc.Arbitrary<OrtTensors> = fc.integer({ min: 1, max: 5 }).chain((count) =>
  fc
    .tuple(
      fc.uint8Array({ minLength: count * 2, maxLength: count * 2 }),
      fc.array(fc.string(), { minLength: count, maxLength: count }),
    )
    .map(([data, texts]): OrtTensors => ({
      x: { type: 'uint8', dims: [count, 2], data },
      y: { type: 'string', dims: [count], data: texts },
    })),
);

describe('inputs of serving.infer', () => {
  it('joined and taken apart again are what each caller gave', () => {
    fc.assert(
      fc.property(fc.array(rows, { minLength: 1, maxLength: 6 }), (requests) => {
        const joined = joinRows(requests);
        const counts = requests.map((request) => request['x']?.dims[0] ?? 0);
        const parts = splitRows(joined, counts);
        assert.deepEqual(parts, requests);
        for (const request of requests) assert.equal(batchKey(request), batchKey(joined));
      }),
    );
  });

  it('of BYTES come back as they were written', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (texts) => {
        assert.deepEqual(readBytesTensor(writeBytesTensor(texts), 'y'), texts);
      }),
    );
  });

  it('of BYTES that are damaged are refused by a sentence', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        refusesOnlyBySentence(() => readBytesTensor(bytes, 'y'));
      }),
    );
  });

  it('of any shape, type and size are refused by a sentence', () => {
    const input = fc.record({
      name: fc.constantFrom('x', 'y', '', '__proto__', 'other'),
      datatype: fc.constantFrom('UINT8', 'BYTES', 'FP32', 'BF16', ''),
      shape: fc.array(
        fc.oneof(fc.bigInt({ min: -2n, max: 4n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
      ),
    });
    const request = fc.record({
      inputs: fc.array(input, { maxLength: 3 }),
      rawInputContents: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(request, (init) => {
        const message = create(ModelInferRequestSchema, { modelName: 'm', ...init });
        refusesOnlyBySentence(() => readFeeds(grpcInputs(message, new SharedMemory(false)), MODEL));
      }),
    );
  });

  it('in REST of any JSON and any header length are refused by a sentence', () => {
    const tensor = fc.record(
      {
        name: fc.oneof(fc.constantFrom('x', 'y'), fc.jsonValue()),
        datatype: fc.oneof(fc.constantFrom('UINT8', 'BYTES'), fc.jsonValue()),
        shape: fc.oneof(fc.constant([1, 2]), fc.jsonValue()),
        data: fc.jsonValue(),
        parameters: fc.oneof(
          fc.record({ binary_data_size: fc.oneof(fc.integer(), fc.jsonValue()) }),
          fc.jsonValue(),
        ),
      },
      { requiredKeys: [] },
    );
    const body = fc.oneof(
      fc.record({
        inputs: fc.array(tensor, { maxLength: 3 }),
        outputs: fc.jsonValue(),
        parameters: fc.jsonValue(),
      }),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(
        body,
        fc.uint8Array({ maxLength: 9 }),
        fc.oneof(fc.string(), fc.nat(60).map(String)),
        (json, tail, length) => {
          const memory = new SharedMemory(false);
          const bytes = Buffer.concat([Buffer.from(JSON.stringify(json)), tail]);
          const value = length.replaceAll(/[^ -~]/g, '');
          const headers = new Headers({ 'inference-header-content-length': value });
          refusesOnlyBySentence(() =>
            readFeeds(readInferRequest(bytes, headers, { shape: MODEL, memory }).inputs, MODEL),
          );
        },
      ),
    );
  });
});
