import { type Attributes, readInt, readInts, readText } from '../attribute.ts';
import type { OperatorCall } from '../operator.ts';
import type { Dimension, Shape } from '../value.ts';

/** How a window moves over the spatial axes. */
export interface Window {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begins of all axes, then ends of all axes. */
  readonly pads: readonly number[];
}

/** Reads the window's attributes with their defaults. */
export function windowOf({ attributes }: { readonly attributes: Attributes }, kernel: Shape): Window {
  return {
    strides: readInts(attributes, 'strides') ?? kernel.map(() => 1),
    dilations: readInts(attributes, 'dilations') ?? kernel.map(() => 1),
    pads: readInts(attributes, 'pads') ?? [...kernel, ...kernel].map(() => 0),
  };
}

/** Spatial sizes after a window has moved over the data. @throws SHAPE_MISMATCH if it is larger than the data. */
export function windowOutput(call: OperatorCall, spatial: Shape, kernel: Shape): Shape {
  const { strides, dilations, pads } = windowOf(call, kernel);
  const mode = readText(call.attributes, 'auto_pad', 'NOTSET');
  return spatial.map((dimension, axis): Dimension => {
    const size = kernel[axis];
    if (typeof dimension === 'string' || typeof size !== 'number') {
      return `?${dimension}`;
    }
    const stride = strides[axis] ?? 1;
    if (mode.startsWith('SAME')) {
      return Math.ceil(dimension / stride);
    }
    const padding = mode === 'VALID' ? 0 : (pads[axis] ?? 0) + (pads[axis + kernel.length] ?? 0);
    const room = dimension + padding - ((size - 1) * (dilations[axis] ?? 1) + 1);
    if (room < 0) {
      call.fail(`a window of ${size} does not fit into ${dimension}`);
    }
    const steps = room / stride;
    return (readInt(call.attributes, 'ceil_mode', 0) === 1 ? Math.ceil(steps) : Math.floor(steps)) + 1;
  });
}
