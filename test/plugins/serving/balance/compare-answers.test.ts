import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { ModelInferResponseSchema } from 'lamella/proto/inference/grpc_inference_service';
import { differenceOf } from '../../../../plugins/serving/balance/compare-answers.ts';

const TOLERANCE = { absoluteTolerance: 0.001, relativeTolerance: 0.01 };

type Output = NonNullable<MessageInitShape<typeof ModelInferResponseSchema>['outputs']>[number];

const raw = (
  datatype: string,
  shape: readonly bigint[],
  bytes: Uint8Array,
): Parameters<typeof compare>[0] => ({
  output: { name: 'y', datatype, shape: [...shape] },
  bytes,
});
const floats = (...values: number[]): Parameters<typeof compare>[0] =>
  raw('FP32', [BigInt(values.length)], new Uint8Array(Float32Array.from(values).buffer));
const typed = (output: Partial<Output>): Parameters<typeof compare>[0] => ({
  output: { name: 'y', datatype: 'FP32', shape: [2n], ...output } as Output,
});

interface Side {
  readonly output: Output;
  readonly bytes?: Uint8Array;
}

function compare(expected: Side, actual: Side): string {
  const answer = ({ output, bytes }: Side): ReturnType<typeof message> =>
    message({ outputs: [output], rawOutputContents: bytes === undefined ? [] : [bytes] });
  return differenceOf(answer(expected), answer(actual), TOLERANCE);
}

const message = (init: MessageInitShape<typeof ModelInferResponseSchema>) =>
  create(ModelInferResponseSchema, init);

describe('two answers', () => {
  it('are equal within either tolerance, and NaN is equal to itself', () => {
    assert.equal(compare(floats(0, 100, NaN), floats(0.0005, 100.9, NaN)), '');
    assert.equal(compare(floats(1, 100), floats(1, 102)), "output 'y' has 102 at 1 and not 100");
    assert.match(compare(floats(Infinity), floats(1)), /has 1 at 0 and not Infinity/);
  });

  it('are compared as numbers whether they are packed or typed', () => {
    assert.equal(compare(floats(1, 2), typed({ contents: { fp32Contents: [1, 2.001] } })), '');
    assert.match(compare(floats(1, 2), typed({ contents: { fp32Contents: [1] } })), /has 1 values and not 2/);
  });

  it('of 16 bits are numbers as well', () => {
    const half = (bits: number): Side => raw('FP16', [1n], new Uint8Array(Uint16Array.of(bits).buffer));
    // 1 and the next number after it; 1 and 2.
    assert.equal(compare(half(0x3c00), half(0x3c01)), '');
    assert.match(compare(half(0x3c00), half(0x4000)), /has 2 at 0 and not 1/);
    const brain = (bits: number): Side => raw('BF16', [1n], new Uint8Array(Uint16Array.of(bits).buffer));
    assert.match(compare(brain(0x3f80), brain(0x4000)), /has 2 at 0 and not 1/);
  });

  it('of texts must be the same', () => {
    const text = (word: string): Side =>
      raw('BYTES', [1n], Buffer.concat([Buffer.from([word.length, 0, 0, 0]), Buffer.from(word)]));
    assert.equal(compare(text('cat'), text('cat')), '');
    assert.equal(compare(text('cat'), text('dog')), "output 'y' has other bytes");
  });

  it('differ by outputs, datatypes and shapes', () => {
    assert.match(compare(floats(1), raw('FP64', [1n], new Uint8Array(8))), /is FP64 and not FP32/);
    assert.match(compare(floats(1, 2), floats(1)), /has the shape \[1\] and not \[2\]/);
    const nothing = message({});
    const one = message({ outputs: [{ name: 'z', datatype: 'FP32', shape: [] }] });
    assert.equal(differenceOf(one, nothing, TOLERANCE), "output 'z' is missing");
    assert.equal(differenceOf(nothing, one, TOLERANCE), "output 'z' is new");
  });

  it('may be any bytes', () => {
    const datatype = fc.constantFrom('FP32', 'FP16', 'BF16', 'INT64', 'BOOL', 'BYTES', 'nonsense');
    fc.assert(
      fc.property(
        datatype,
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 40 }),
        (type, a, b) => {
          const [one, other] = [raw(type, [3n], a), raw(type, [3n], b)];
          assert.equal(compare(one, one), '');
          assert.equal(typeof compare(one, other), 'string');
        },
      ),
    );
  });
});
