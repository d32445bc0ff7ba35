import assert from 'node:assert/strict';
import { create, fromBinary, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import {
  type ModelInferRequest,
  ModelInferRequestSchema,
  ModelInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { readRequest, writeResponse } from '../../../plugins/serving/infer/infer-codec.ts';
import { PackedContents } from '../../../plugins/serving/infer/decoded-request.ts';

const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 4 }));
const size = fc.oneof(fc.bigInt(0n, 1_000n), fc.bigInt(-(2n ** 62n), 2n ** 62n));
const parameters = fc.dictionary(
  fc.string({ maxLength: 4 }).filter((name) => name !== '__proto__'),
  fc.constant({ parameterChoice: { case: 'int64Param' as const, value: 5n } }),
  { maxKeys: 1 },
);
const contents = fc.option(
  fc.oneof(
    fc.record({ fp32Contents: fc.array(fc.float({ noNaN: true }), { maxLength: 5 }) }),
    fc.record({ fp64Contents: fc.array(fc.double({ noNaN: true }), { maxLength: 5 }) }),
    fc.record({
      intContents: fc.array(fc.integer(), { maxLength: 5 }),
      bytesContents: fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 2 }),
    }),
  ),
  { nil: undefined },
);
const requests = fc.record({
  modelName: text,
  modelVersion: text,
  id: text,
  parameters: fc.oneof(fc.constant({}), parameters),
  inputs: fc.array(
    fc.record({ name: text, datatype: text, shape: fc.array(size, { maxLength: 4 }), contents }),
    { maxLength: 3 },
  ),
  outputs: fc.array(fc.record({ name: text, parameters: fc.oneof(fc.constant({}), parameters) }), {
    maxLength: 2,
  }),
  rawInputContents: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 3 }),
});

const jsonOf = (request: ModelInferRequest): unknown => toJson(ModelInferRequestSchema, request);

function outcome(read: (bytes: Uint8Array) => ModelInferRequest, bytes: Uint8Array): unknown {
  try {
    return jsonOf(read(bytes));
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
}

const byDescriptor = (bytes: Uint8Array): ModelInferRequest => fromBinary(ModelInferRequestSchema, bytes);

describe('the codec of ModelInfer', () => {
  it('reads every request as the descriptor does', () => {
    fc.assert(
      fc.property(requests, (init) => {
        const bytes = toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init));
        assert.deepEqual(jsonOf(readRequest(bytes)), jsonOf(byDescriptor(bytes)));
        assert.deepEqual(toBinary(ModelInferRequestSchema, readRequest(bytes)), bytes);
      }),
    );
  });

  it('takes or refuses any bytes as the descriptor does', () => {
    const cut = fc
      .tuple(requests, fc.nat(400), fc.nat(400), fc.nat(255))
      .map(([init, length, place, value]) => {
        const bytes = toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init));
        if (place < bytes.byteLength) bytes[place] = value;
        return bytes.subarray(0, length);
      });
    fc.assert(
      fc.property(fc.oneof(cut, fc.uint8Array({ maxLength: 30 })), (bytes) => {
        assert.deepEqual(outcome(readRequest, bytes), outcome(byDescriptor, bytes));
      }),
      { numRuns: 500 },
    );
  });

  it('keeps raw contents as views, and packed numbers as one array', () => {
    const raw = new Uint8Array(1_000).fill(7);
    const fp32Contents = [1, 2.5, -3];
    const bytes = toBinary(
      ModelInferRequestSchema,
      create(ModelInferRequestSchema, {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [3n], contents: { fp32Contents } }],
        rawInputContents: [raw],
      }),
    );
    const request = readRequest(bytes);
    assert.equal(request.rawInputContents[0]?.buffer, bytes.buffer);
    const given = request.inputs[0]?.contents;
    assert.ok(given instanceof PackedContents);
    assert.deepEqual(given.fp32, Float32Array.of(...fp32Contents));
  });

  it('writes answers that the descriptor reads', () => {
    const answers: fc.Arbitrary<MessageInitShape<typeof ModelInferResponseSchema>> = fc.record({
      modelName: text,
      modelVersion: text,
      id: text,
      outputs: fc.array(
        fc.oneof(
          fc.record({ name: text, datatype: text, shape: fc.array(fc.bigInt(0n, 2n ** 40n)) }),
          fc.record({ name: text, parameters }),
        ),
        { maxLength: 3 },
      ),
      rawOutputContents: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(answers, (answer) => {
        const wanted = create(ModelInferResponseSchema, answer);
        const bytes = writeResponse(answer);
        assert.deepEqual(Buffer.from(bytes), Buffer.from(toBinary(ModelInferResponseSchema, wanted)));
      }),
    );
  });
});
