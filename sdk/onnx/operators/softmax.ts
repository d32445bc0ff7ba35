import { intAttribute, readInt, readText } from '../attribute.ts';
import { ElementType } from '../element-type.ts';
import type { GradientContext, OperatorCall, OperatorTable } from '../operator.ts';
import { floatTensor } from '../tensor.ts';
import type { Value, ValueType } from '../value.ts';
import { fixedShape } from './broadcast.ts';

/** Softmax and the losses made from it. */
export const SOFTMAX: OperatorTable = {
  Softmax: { infer: inferSame, gradient: softmaxGradient },
  LogSoftmax: { infer: inferSame, gradient: logSoftmaxGradient },
  SoftmaxCrossEntropyLoss: { infer: inferLoss, gradient: lossGradient },
  OneHot: { infer: inferOneHot },
};

function inferSame(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  call.axis(readInt(call.attributes, 'axis', -1), shape.length);
  return [{ type, shape }];
}

function sumAlongAxis({ graph, node }: GradientContext, value: Value): Value {
  const axes = graph.integers([readInt(node.attributes, 'axis', -1)]);
  return graph.apply('ReduceSum', [value, axes], { keepdims: intAttribute(true) });
}

/** dX = (dY - sum(dY * Y)) * Y. */
function softmaxGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const output = context.output(0);
  const sum = sumAlongAxis(context, graph.apply('Mul', [outputGradient, output]));
  return [graph.apply('Mul', [graph.apply('Sub', [outputGradient, sum]), output])];
}

/** dX = dY - exp(Y) * sum(dY). */
function logSoftmaxGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const probabilities = graph.apply('Exp', [context.output(0)]);
  const product = graph.apply('Mul', [probabilities, sumAlongAxis(context, outputGradient)]);
  return [graph.apply('Sub', [outputGradient, product])];
}

function inferLoss(call: OperatorCall): readonly ValueType[] {
  const [scores, labels] = [call.input(0), call.input(1)];
  if (scores.shape.length !== 2 || labels.shape.length !== 1 || labels.type !== ElementType.INT64) {
    call.fail('it takes scores of [N, classes] and int64 labels of [N]');
  }
  const reduced = readText(call.attributes, 'reduction', 'mean') !== 'none';
  return [
    { type: scores.type, shape: reduced ? [] : labels.shape },
    { type: scores.type, shape: scores.shape },
  ];
}

/** dScores = (softmax - one-hot) * dLoss / N; the softmax is the exponential of the operator's second output. */
function lossGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, node, outputGradient } = context;
  const [batch, classes] = fixedShape('SoftmaxCrossEntropyLoss', context.input(0));
  if (node.inputs[2] !== undefined || readText(node.attributes, 'reduction', 'mean') !== 'mean') {
    return context.unsupported(' with weights or another reduction than mean');
  }
  const probabilities = graph.apply('Exp', [node.outputs[1] ?? graph.extend(node)]);
  const onOff = graph.constant(floatTensor('one_hot_values', [2], [0, 1]));
  const oneHot = graph.apply('OneHot', [context.input(1), graph.integers([classes ?? 0]), onOff]);
  const share = graph.apply('Mul', [outputGradient, graph.scalar(1 / (batch ?? 1))]);
  return [graph.apply('Mul', [graph.apply('Sub', [probabilities, oneHot]), share])];
}

function inferOneHot(call: OperatorCall): readonly ValueType[] {
  const depth = call.integerInput(1)[0] ?? 0;
  const { shape } = call.input(0);
  const axis = call.axis(readInt(call.attributes, 'axis', -1), shape.length + 1);
  return [{ type: call.input(2).type, shape: [...shape.slice(0, axis), depth, ...shape.slice(axis)] }];
}
