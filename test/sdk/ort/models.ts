import {
  ElementType,
  encodeModel,
  finishModel,
  GraphBuilder,
  type OnnxModel,
  type Shape,
} from '../../../sdk/onnx/index.ts';

/** A model that adds 1 to its only input `x` and calls the result `y`. */
export function addOneModel(change: (model: OnnxModel) => OnnxModel = (model) => model): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['batch', 2] satisfies Shape });
  graph.output('y', graph.apply('Add', [x, graph.scalar(1)]));
  return encodeModel(change(finishModel(graph.finish('add-one'))));
}

/** A model whose run takes seconds: a chain of products of its input, a square matrix. */
export function slowModel(products: number = 400): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['size', 'size'] satisfies Shape });
  let value = x;
  for (let index = 0; index < products; index += 1) value = graph.apply('MatMul', [value, x]);
  graph.output('y', value);
  return encodeModel(finishModel(graph.finish('slow')));
}
