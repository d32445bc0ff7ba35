import { intAttribute } from './attribute.ts';
import type { GraphBuilder } from './graph-builder.ts';
import { fixedShape } from './operators/broadcast.ts';
import { floatTensor } from './tensor.ts';
import type { Value } from './value.ts';

/**
 * Appends the mean cross entropy of class scores, and its gradient by them: (softmax - one-hot) / N.
 *
 * @remarks ONNX Runtime takes SoftmaxCrossEntropyLoss apart into a dozen nodes; these eight do both directions.
 * @param scores - FLOAT [N, classes], N fixed.
 * @param labels - INT64 [N].
 * @throws SHAPE_MISMATCH if a size is only named.
 */
export function crossEntropy(
  graph: GraphBuilder,
  scores: Value,
  labels: Value,
): { loss: Value; gradient: Value } {
  const [batch = 1, classes = 1] = fixedShape('LogSoftmax', scores);
  const share = 1 / batch;
  const onOff = graph.constant(floatTensor('one_hot_values', [2], [0, 1]));
  const oneHot = graph.apply('OneHot', [labels, graph.integers([classes]), onOff]);
  const logProbabilities = graph.apply('LogSoftmax', [scores]);
  const hits = graph.apply('Mul', [logProbabilities, oneHot]);
  const sum = graph.apply('ReduceSum', [hits], { keepdims: intAttribute(false) });
  const difference = graph.apply('Sub', [graph.apply('Exp', [logProbabilities]), oneHot]);
  return {
    loss: graph.apply('Mul', [sum, graph.scalar(-share)]),
    gradient: graph.apply('Mul', [difference, graph.scalar(share)]),
  };
}
