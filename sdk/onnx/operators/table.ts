import type { OperatorDefinition } from '../operator.ts';
import { CONVOLUTION } from './convolution.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { INDEXING } from './indexing.ts';
import { MATRIX } from './matrix.ts';
import { POOLING } from './pooling.ts';
import { REDUCTION } from './reduction.ts';
import { SHAPE } from './shape.ts';
import { SOFTMAX } from './softmax.ts';

/** Every operator of opset 17 whose result type the toolkit can tell. */
export const OPERATORS: ReadonlyMap<string, OperatorDefinition> = new Map(
  [ELEMENTWISE, MATRIX, CONVOLUTION, POOLING, SOFTMAX, REDUCTION, SHAPE, INDEXING].flatMap((table) =>
    Object.entries(table),
  ),
);
