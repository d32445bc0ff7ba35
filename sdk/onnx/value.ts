import type { ElementType } from './element-type.ts';
import type { OnnxShape, OnnxTensor, OnnxValueInfo } from './model.ts';

/** A size, or a name for a size known only when the graph runs; equal names mean equal sizes. */
export type Dimension = number | string;

/** Dimensions of a tensor, outermost first; empty for a scalar. */
export type Shape = readonly Dimension[];

/** What is known of a value before the graph runs. */
export interface ValueType {
  readonly type: ElementType;
  readonly shape: Shape;
}

/** A value in a graph under construction. */
export interface Value extends ValueType {
  /** Name within the graph. */
  readonly name: string;
  /** The value itself, when it is an initializer. */
  readonly constant?: OnnxTensor | undefined;
}

/** Number of elements; `undefined` when a dimension is not known yet. */
export function elementCount(shape: Shape): number | undefined {
  let count = 1;
  for (const dimension of shape) {
    if (typeof dimension === 'string') {
      return undefined;
    }
    count *= dimension;
  }
  return count;
}

/** The shape as numbers; `undefined` when a dimension is not known yet. */
export function staticShape(shape: Shape): readonly number[] | undefined {
  return shape.every((dimension) => typeof dimension === 'number') ? shape : undefined;
}

/** Tells whether two shapes are equal, dimension by dimension and name by name. */
export function sameShape(left: Shape, right: Shape): boolean {
  return left.length === right.length && left.every((dimension, index) => dimension === right[index]);
}

/** Shape as people write it, for example `[N, 28, 28]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/**
 * Shape of the result of an elementwise operator; `undefined` when the two do not fit.
 *
 * @remarks Rules: onnx/onnx: docs/Broadcasting.md. A named size next to a size above 1 must turn out equal to it.
 */
export function broadcastShapes(left: Shape, right: Shape): Shape | undefined {
  const rank = Math.max(left.length, right.length);
  const result: Dimension[] = [];
  for (let index = 0; index < rank; index += 1) {
    const merged = broadcastDimension(
      left[left.length - rank + index] ?? 1,
      right[right.length - rank + index] ?? 1,
    );
    if (merged === undefined) {
      return undefined;
    }
    result.push(merged);
  }
  return result;
}

function broadcastDimension(left: Dimension, right: Dimension): Dimension | undefined {
  if (left === right || right === 1) {
    return left;
  }
  if (left === 1 || typeof left === 'string') {
    return right;
  }
  return typeof right === 'string' ? left : undefined;
}

/** Description of a graph's input or output. */
export function valueInfo(name: string, { type, shape }: ValueType): OnnxValueInfo {
  const dims = shape.map((dimension) =>
    typeof dimension === 'number' ? { value: dimension } : { parameter: dimension },
  );
  return { name, type: { tensor: { elementType: type, shape: { dims } } } };
}

/** Type of an input or output as far as the model states it; unknown sizes get names that start with `?`. */
export function typeOfInfo(info: OnnxValueInfo): ValueType | undefined {
  const tensor = info.type?.tensor;
  if (tensor?.shape === undefined) {
    return undefined;
  }
  return { type: tensor.elementType, shape: shapeOfInfo(info.name, tensor.shape) };
}

function shapeOfInfo(name: string, shape: OnnxShape): Shape {
  return shape.dims.map((dimension, index) => {
    if (dimension.value !== undefined && dimension.value >= 0) {
      return dimension.value;
    }
    return dimension.parameter !== undefined && dimension.parameter !== ''
      ? dimension.parameter
      : `?${name}.${index}`;
  });
}
