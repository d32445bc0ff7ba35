import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isDeclaredError } from 'lamella/sdk';
import {
  decodeModel,
  encodeModel,
  finishModel,
  floatTensor,
  floatType,
  GraphBuilder,
} from 'lamella/sdk/onnx';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../support/fuzz-runs.ts';

const builder = new GraphBuilder();
const x = builder.input('x', floatType(['N', 2]));
builder.output('y', builder.apply('MatMul', [x, builder.constant(floatTensor('w', [2, 2], [1, 2, 3, 4]))]));
const valid = encodeModel(finishModel(builder.finish('g')));

function survives(bytes: Uint8Array): void {
  try {
    decodeModel(bytes);
  } catch (error) {
    assert.ok(isDeclaredError(error) && error.reason === 'MODEL_MALFORMED', String(error));
  }
}

describe('ONNX decoder under hostile bytes', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('answers any bytes with a model or with MODEL_MALFORMED', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), survives), { numRuns: fuzzRuns(500) });
  });

  it('answers any change of a valid file with a model or with MODEL_MALFORMED', () => {
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.nat(255), (position, value) => {
        const changed = valid.slice();
        changed[position] = value;
        survives(changed);
      }),
      { numRuns: fuzzRuns(1_000) },
    );
  });
});
