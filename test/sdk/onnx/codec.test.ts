import assert from 'node:assert/strict';
import { isDeclaredError } from 'lamella/sdk';
import {
  decodeModel,
  encodeModel,
  finishModel,
  floatTensor,
  floatType,
  floatValues,
  GraphBuilder,
  graphAttribute,
  int64Tensor,
  integerValues,
  intAttribute,
  intsAttribute,
  type OnnxModel,
  textAttribute,
} from 'lamella/sdk/onnx';

function sample(): OnnxModel {
  const builder = new GraphBuilder();
  const input = builder.input('x', floatType(['N', 4]));
  const weights = builder.constant(floatTensor('weights', [4, 300], new Float32Array(1200).fill(0.5)));
  const scores = builder.apply('MatMul', [input, weights]);
  builder.output('y', builder.apply('Softmax', [scores], { axis: intAttribute(-1) }));
  return finishModel(builder.finish('sample'), { author: 'test' });
}

function reasonOf(run: () => unknown): string {
  try {
    run();
    return '';
  } catch (error) {
    return isDeclaredError(error) ? error.reason : `undeclared ${String(error)}`;
  }
}

describe('ONNX codec', () => {
  it('reads back what it has written', () => {
    const model = sample();
    const decoded = decodeModel(encodeModel(model));
    assert.deepEqual(encodeModel(decoded), encodeModel(model));
    assert.deepEqual(
      decoded.graph.nodes.map(({ opType }) => opType),
      ['MatMul', 'Softmax'],
    );
    assert.deepEqual(decoded.metadata, [{ key: 'author', value: 'test' }]);
  });

  it('keeps weights as views of the bytes of the file', () => {
    const bytes = encodeModel(sample());
    const [weights] = decodeModel(bytes).graph.initializers;
    assert.ok(weights?.rawData !== undefined);
    assert.equal(weights.rawData.buffer, bytes.buffer);
    assert.equal(floatValues(weights)[1199], 0.5);
  });

  it('writes back fields that it does not know', () => {
    const bytes = encodeModel(sample());
    // Field 25 of ModelProto (functions) and field 5 (model_version): neither is read here.
    const extended = Uint8Array.from([...bytes, 0xca, 0x01, 3, 1, 2, 3, 0x28, 7]);
    const again = encodeModel(decodeModel(extended));
    assert.deepEqual([...again.subarray(-8)], [0xca, 0x01, 3, 1, 2, 3, 0x28, 7]);
  });

  it('keeps every kind of attribute, negative and zero numbers included', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', floatType([1]));
    const body = new GraphBuilder(builder).finish('body');
    const attributes = {
      zero: intAttribute(0),
      negative: intAttribute(-5),
      list: intsAttribute([-1, 0, 2 ** 40]),
      text: textAttribute('é'),
      body: graphAttribute(body),
    };
    builder.call('Custom', [x], { attributes, domain: 'test', types: [floatType([1])] });
    const [node] = decodeModel(encodeModel(finishModel(builder.finish('g')))).graph.nodes;
    const byName = new Map(node?.attributes.map((attribute) => [attribute.name, attribute]));
    assert.equal(byName.get('zero')?.int, 0n);
    assert.equal(byName.get('negative')?.int, -5n);
    assert.deepEqual(byName.get('list')?.ints, [-1n, 0n, 2n ** 40n]);
    assert.equal(new TextDecoder().decode(byName.get('text')?.string), 'é');
    assert.equal(byName.get('body')?.graph?.name, 'body');
  });

  it('refuses a file cut off anywhere with MODEL_MALFORMED, unless the cut falls between two fields', () => {
    const bytes = encodeModel(sample());
    const reasons = new Set<string>();
    for (let length = 0; length < bytes.length; length += 1) {
      reasons.add(reasonOf(() => decodeModel(bytes.subarray(0, length))));
    }
    assert.deepEqual(
      [...reasons].filter((reason) => reason !== ''),
      ['MODEL_MALFORMED'],
    );
  });

  it('refuses graphs nested without end', () => {
    // GraphProto.node (1) > NodeProto.attribute (5) > AttributeProto.g (6), again and again.
    let bytes: number[] = [];
    const wrap = (field: number): void => {
      const length = bytes.length;
      const varint = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
      bytes = [(field << 3) | 2, ...varint, ...bytes];
    };
    for (let level = 0; level < 60; level += 1) {
      wrap(6);
      wrap(5);
      wrap(1);
    }
    wrap(7);
    assert.equal(
      reasonOf(() => decodeModel(Uint8Array.from(bytes))),
      'MODEL_MALFORMED',
    );
  });

  it('refuses empty bytes and text', () => {
    assert.equal(
      reasonOf(() => decodeModel(new Uint8Array(0))),
      'MODEL_MALFORMED',
    );
    assert.equal(
      reasonOf(() => decodeModel(new TextEncoder().encode('{"not": "a model"}'))),
      'MODEL_MALFORMED',
    );
  });

  it('refuses a tensor whose bytes do not match its shape', () => {
    assert.equal(
      reasonOf(() => floatValues({ ...floatTensor('t', [2], [1, 2]), dims: [3] })),
      'MODEL_MALFORMED',
    );
    assert.deepEqual(integerValues(int64Tensor('t', [2], [-1, 5])), [-1, 5]);
    assert.equal(
      reasonOf(() => integerValues(floatTensor('t', [1], [1]))),
      'MODEL_MALFORMED',
    );
  });
});
