// Strokes as a digit image of MNIST's kind: inside a box of 20 pixels, centre of mass in the middle of 28 x 28.

export const SIDE = 28;

const BOX = 20;
/** Pen width in pixels of the image, the same for large and small drawings. */
const PEN = 2.4;
/** A dot is not blown up to a blot: at most this many image pixels for one of the drawing. */
const MAX_SCALE = 0.4;
/** Each image pixel is the mean of this many in both directions. */
const FINE = 4;

/** Draws strokes, each a list of `{x, y}`, as polylines with round ends. */
export function drawStrokes(context, strokes, width) {
  context.lineWidth = width;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  for (const stroke of strokes) {
    context.beginPath();
    for (const { x, y } of stroke) context.lineTo(x, y);
    // A line to where it began shows a dot for a stroke of one point.
    if (stroke.length === 1) context.lineTo(stroke[0].x, stroke[0].y);
    context.stroke();
  }
}

/** The image as 784 bytes, 0 is paper and 255 is ink; `undefined` when nothing is drawn. */
export function digitImage(strokes) {
  const points = strokes.flat();
  if (points.length === 0) return undefined;
  const box = bounds(points);
  const scale = Math.min((BOX - PEN) / Math.max(box.width, box.height, 1), MAX_SCALE);
  const ink = render(strokes, (point) => ({
    x: (SIDE / 2 + (point.x - box.centreX) * scale) * FINE,
    y: (SIDE / 2 + (point.y - box.centreY) * scale) * FINE,
  }));
  const { x, y } = centreOfMass(ink);
  const middle = (SIDE * FINE) / 2;
  return average(ink, Math.round(x - middle), Math.round(y - middle));
}

function bounds(points) {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  return {
    width: right - left,
    height: bottom - top,
    centreX: (left + right) / 2,
    centreY: (top + bottom) / 2,
  };
}

/** Opacity of each fine pixel. */
function render(strokes, place) {
  const side = SIDE * FINE;
  const canvas = document.createElement('canvas');
  canvas.width = side;
  canvas.height = side;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const placed = strokes.map((stroke) => stroke.map(place));
  drawStrokes(context, placed, PEN * FINE);
  const { data } = context.getImageData(0, 0, side, side);
  return Uint8Array.from({ length: side * side }, (_, index) => data[index * 4 + 3]);
}

function centreOfMass(ink) {
  const side = SIDE * FINE;
  let [mass, sumX, sumY] = [0, 0, 0];
  ink.forEach((value, index) => {
    mass += value;
    sumX += value * (index % side);
    sumY += value * Math.floor(index / side);
  });
  return mass === 0 ? { x: side / 2, y: side / 2 } : { x: sumX / mass, y: sumY / mass };
}

/** Means of the fine pixels, moved by an offset so that the centre of mass is in the middle. */
function average(ink, offsetX, offsetY) {
  const side = SIDE * FINE;
  const sums = new Float64Array(SIDE * SIDE);
  ink.forEach((value, index) => {
    if (value === 0) return;
    const x = Math.floor(((index % side) - offsetX) / FINE);
    const y = Math.floor((Math.floor(index / side) - offsetY) / FINE);
    if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) sums[y * SIDE + x] += value;
  });
  return Uint8Array.from(sums, (sum) => Math.round(sum / (FINE * FINE)));
}
