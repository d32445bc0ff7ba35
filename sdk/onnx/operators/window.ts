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
  const window = windowOf(call, kernel);
  return spatial.map((dimension, axis): Dimension => {
    const size = kernel[axis];
    if (typeof dimension === 'string' || typeof size !== 'number') {
      return `?${dimension}`;
    }
    const reach = (size - 1) * (window.dilations[axis] ?? 1) + 1;
    const padding = (window.pads[axis] ?? 0) + (window.pads[axis + kernel.length] ?? 0);
    return positions(call, { dimension, reach, padding, stride: window.strides[axis] ?? 1 });
  });
}

/** How many places a window takes along one axis. */
function positions(
  call: OperatorCall,
  axis: {
    readonly dimension: number;
    readonly reach: number;
    readonly padding: number;
    readonly stride: number;
  },
): number {
  const mode = readText(call.attributes, 'auto_pad', 'NOTSET');
  if (mode.startsWith('SAME')) {
    return Math.ceil(axis.dimension / axis.stride);
  }
  const room = axis.dimension + (mode === 'VALID' ? 0 : axis.padding) - axis.reach;
  if (room < 0) {
    call.fail(`a window that reaches over ${axis.reach} does not fit into ${axis.dimension}`);
  }
  const steps = room / axis.stride;
  return (readInt(call.attributes, 'ceil_mode', 0) === 1 ? Math.ceil(steps) : Math.floor(steps)) + 1;
}
