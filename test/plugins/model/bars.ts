import {
  type Data,
  Field,
  FixedSizeList,
  Int32,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Uint8,
} from 'apache-arrow';
import { seededRandom } from 'lamella/sdk/onnx';

/** Number of images. */
export const ROWS = 400;
/** Height and width of one. */
export const SIDE = 8;
/** Pixels of one. */
export const WIDTH: number = SIDE * SIDE;

/** Noisy images with one bright bar: across for class 0, down for class 1. */
function pixels(): { images: Uint8Array; labels: Int32Array } {
  const random = seededRandom(3);
  const images = new Uint8Array(ROWS * WIDTH);
  const labels = new Int32Array(ROWS);
  for (let row = 0; row < ROWS; row += 1) {
    const label = row % 2;
    const at = Math.floor(random() * SIDE);
    labels[row] = label;
    for (let pixel = 0; pixel < WIDTH; pixel += 1) {
      const onBar = (label === 0 ? Math.floor(pixel / SIDE) : pixel % SIDE) === at;
      images[row * WIDTH + pixel] = Math.floor(random() * 80) + (onBar ? 170 : 0);
    }
  }
  return { images, labels };
}

/** Images and their classes. */
export const DATA: { readonly images: Uint8Array; readonly labels: Int32Array } = pixels();

const TWO_BATCHES: readonly (readonly [number, number])[] = [
  [0, 150],
  [150, ROWS],
];

/** Images as one Arrow stream, by default all in two batches: id, image, label. */
export function arrowStream(
  labels: Int32Array = DATA.labels,
  batches: readonly (readonly [number, number])[] = TWO_BATCHES,
): Uint8Array {
  const element = new Field('item', new Uint8(), false);
  const imageType = new FixedSizeList(WIDTH, element);
  const schema = new Schema([
    new Field('id', new Int32(), false),
    new Field('image', imageType, false),
    new Field('label', new Int32(), false),
  ]);
  const writer = new RecordBatchStreamWriter();
  for (const [start, end] of batches) {
    const length = end - start;
    const values = makeData({ type: new Uint8(), data: DATA.images.slice(start * WIDTH, end * WIDTH) });
    const children: Data[] = [
      makeData({ type: new Int32(), data: Int32Array.from({ length }, (_, index) => start + index) }),
      makeData({ type: imageType, length, child: values }),
      makeData({ type: new Int32(), data: labels.slice(start, end) }),
    ];
    writer.write(new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, children })));
  }
  return writer.finish().toUint8Array(true);
}
