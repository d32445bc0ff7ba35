import { intAttribute, readInt } from '../attribute.ts';
import { ElementType, isFloatType } from '../element-type.ts';
import type { GradientContext, OperatorCall, OperatorDefinition, OperatorTable } from '../operator.ts';
import type { Value, ValueType } from '../value.ts';
import { inferBroadcast, sumTo } from './broadcast.ts';

type Rule = (context: GradientContext) => readonly (Value | undefined)[];

/** Arithmetic, comparisons and activations that work element by element. */
export const ELEMENTWISE: OperatorTable = {
  Add: binary((context) => {
    const { graph, outputGradient } = context;
    return [0, 1].map((index) =>
      context.ifNeeded(index, () => sumTo(graph, outputGradient, context.input(index).shape)),
    );
  }),
  Sub: binary((context) => {
    const { graph, outputGradient } = context;
    return [
      context.ifNeeded(0, () => sumTo(graph, outputGradient, context.input(0).shape)),
      context.ifNeeded(1, () => graph.apply('Neg', [sumTo(graph, outputGradient, context.input(1).shape)])),
    ];
  }),
  Mul: binary((context) => {
    const { graph, outputGradient } = context;
    return [0, 1].map((index) =>
      context.ifNeeded(index, () => {
        const product = graph.apply('Mul', [outputGradient, context.input(1 - index)]);
        return sumTo(graph, product, context.input(index).shape);
      }),
    );
  }),
  Div: binary(divisionGradient),
  Pow: binary(powerGradient),
  Min: binary(),
  Max: binary(),
  Greater: comparison(),
  GreaterOrEqual: comparison(),
  Less: comparison(),
  LessOrEqual: comparison(),
  Equal: comparison(),
  Where: { infer: inferWhere, gradient: whereGradient },
  Neg: unary(({ graph, outputGradient }) => [graph.apply('Neg', [outputGradient])]),
  Abs: unary((context) => [multiply(context, context.graph.apply('Sign', [context.input(0)]))]),
  Sign: unary(),
  Floor: unary(),
  Ceil: unary(),
  Round: unary(),
  Not: unary(),
  Exp: unary((context) => [multiply(context, context.output(0))]),
  Log: unary((context) => [context.graph.apply('Div', [context.outputGradient, context.input(0)])]),
  Sqrt: unary((context) => {
    const { graph, outputGradient } = context;
    return [graph.apply('Div', [outputGradient, graph.apply('Mul', [context.output(0), graph.scalar(2)])])];
  }),
  Identity: unary(({ outputGradient }) => [outputGradient]),
  Relu: unary(reluGradient),
  Sigmoid: unary((context) => {
    const { graph } = context;
    const complement = graph.apply('Sub', [graph.scalar(1), context.output(0)]);
    return [multiply(context, graph.apply('Mul', [context.output(0), complement]))];
  }),
  Tanh: unary((context) => {
    const { graph } = context;
    const square = graph.apply('Mul', [context.output(0), context.output(0)]);
    return [multiply(context, graph.apply('Sub', [graph.scalar(1), square]))];
  }),
  Clip: unary(clipGradient),
  Cast: { infer: inferCast, gradient: castGradient },
};

function unary(gradient?: Rule): OperatorDefinition {
  const infer = (call: OperatorCall): readonly ValueType[] => [
    { type: call.input(0).type, shape: call.input(0).shape },
  ];
  return gradient === undefined ? { infer } : { infer, gradient };
}

function binary(gradient?: Rule): OperatorDefinition {
  const infer = (call: OperatorCall): readonly ValueType[] => {
    if (call.opType !== 'Pow' && call.input(0).type !== call.input(1).type) {
      call.fail('its inputs have different element types');
    }
    return inferBroadcast(call, [call.input(0), call.input(1)], call.input(0).type);
  };
  return gradient === undefined ? { infer } : { infer, gradient };
}

function comparison(): OperatorDefinition {
  return { infer: (call) => inferBroadcast(call, [call.input(0), call.input(1)], ElementType.BOOL) };
}

function multiply({ graph, outputGradient }: GradientContext, factor: Value): Value {
  return graph.apply('Mul', [outputGradient, factor]);
}

function divisionGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const quotient = (): Value => graph.apply('Div', [outputGradient, context.input(1)]);
  return [
    context.ifNeeded(0, () => sumTo(graph, quotient(), context.input(0).shape)),
    context.ifNeeded(1, () => {
      // d(a/b)/db = -(a/b)/b, and a/b is the output.
      const negative = graph.apply('Neg', [graph.apply('Mul', [quotient(), context.output(0)])]);
      return sumTo(graph, negative, context.input(1).shape);
    }),
  ];
}

function powerGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph } = context;
  const [base, exponent] = [context.input(0), context.input(1)];
  return [
    context.ifNeeded(0, () => {
      const lower = graph.apply('Pow', [base, graph.apply('Sub', [exponent, graph.scalar(1)])]);
      return sumTo(graph, multiply(context, graph.apply('Mul', [exponent, lower])), base.shape);
    }),
    context.ifNeeded(1, () => context.unsupported(' with a trainable exponent')),
  ];
}

function reluGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const positive = graph.apply('Greater', [context.output(0), graph.scalar(0)]);
  return [graph.apply('Where', [positive, outputGradient, graph.scalar(0)])];
}

function clipGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  // Values that were cut off differ from the output and get no gradient.
  const kept = graph.apply('Equal', [context.input(0), context.output(0)]);
  return [graph.apply('Where', [kept, outputGradient, graph.scalar(0)])];
}

function inferWhere(call: OperatorCall): readonly ValueType[] {
  return inferBroadcast(call, [call.input(0), call.input(1), call.input(2)], call.input(1).type);
}

function whereGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const [condition, zero] = [context.input(0), graph.scalar(0)];
  return [
    undefined,
    context.ifNeeded(1, () =>
      sumTo(graph, graph.apply('Where', [condition, outputGradient, zero]), context.input(1).shape),
    ),
    context.ifNeeded(2, () =>
      sumTo(graph, graph.apply('Where', [condition, zero, outputGradient]), context.input(2).shape),
    ),
  ];
}

function inferCast(call: OperatorCall): readonly ValueType[] {
  return [{ type: readInt(call.attributes, 'to', ElementType.FLOAT), shape: call.input(0).shape }];
}

function castGradient(context: GradientContext): readonly (Value | undefined)[] {
  return [
    context.ifNeeded(0, () => {
      const { type } = context.input(0);
      if (!isFloatType(type)) {
        return context.unsupported(' from whole numbers');
      }
      return context.graph.apply('Cast', [context.outputGradient], { to: intAttribute(type) });
    }),
  ];
}
