import { defineError, type ErrorType } from '../errors.ts';
import { Code } from '../status-code.ts';

/** The bytes are not an ONNX model, or one that was cut off or damaged. */
export const ModelMalformed: ErrorType<'detail'> = defineError({
  reason: 'MODEL_MALFORMED',
  code: Code.INVALID_ARGUMENT,
  message: ({ detail }) =>
    `The bytes are not a readable ONNX model: ${detail}. Export the model again and send the whole file.`,
});

/** An operator is used with inputs whose shapes or types it does not take. */
export const ShapeMismatch: ErrorType<'operator' | 'detail'> = defineError({
  reason: 'SHAPE_MISMATCH',
  code: Code.INVALID_ARGUMENT,
  message: ({ operator, detail }) =>
    `Operator ${operator} cannot be applied: ${detail}. Correct the shapes of its inputs.`,
});

/** The toolkit does not know an operator of a graph that it should extend. */
export const OperatorUnsupported: ErrorType<'operator'> = defineError({
  reason: 'OPERATOR_UNSUPPORTED',
  code: Code.UNIMPLEMENTED,
  message: ({ operator }) =>
    `Operator ${operator} is not supported here; rewrite the graph with the operators listed in sdk/onnx/operators.`,
});

/** A trainable value depends on an operator that has no gradient. */
export const GradientUnsupported: ErrorType<'operator'> = defineError({
  reason: 'GRADIENT_UNSUPPORTED',
  code: Code.UNIMPLEMENTED,
  message: ({ operator }) =>
    `Operator ${operator} has no gradient, so nothing before it can be trained; replace it or freeze what comes before it.`,
});

/** Two models cannot be put one behind the other. */
export const ModelsNotComposable: ErrorType<'detail'> = defineError({
  reason: 'MODELS_NOT_COMPOSABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ detail }) =>
    `The models do not fit together: ${detail}. The output of the first must match the input of the second in type and shape.`,
});

/** A graph cannot be trained as it is. */
export const ModelNotTrainable: ErrorType<'detail'> = defineError({
  reason: 'MODEL_NOT_TRAINABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ detail }) =>
    `The model cannot be trained: ${detail}. It needs one input of samples, one output of class scores and float weights as initializers.`,
});
