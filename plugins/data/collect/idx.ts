import { open } from 'node:fs/promises';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { SourceUnreadable } from './errors.ts';
import type { Source, SourceBatch } from './source.ts';

/** Magic numbers of the idx format: unsigned bytes with three dimensions and with one. */
const IMAGES_MAGIC = 0x00000803;
const LABELS_MAGIC = 0x00000801;

/** Where the pixels of an idx image file begin, in bytes. */
const IMAGES_HEADER_BYTES = 16;
const LABELS_HEADER_BYTES = 8;

/** Largest side of an image, in pixels; more is taken for a broken header. */
const MAX_SIDE = 4_096;

/** Paths of an idx pair, and how many rows to a batch. */
export interface IdxOptions {
  readonly imagesPath: string;
  readonly labelsPath: string;
  readonly batchRows: number;
}

/**
 * Images and labels of an idx pair as `id`, `image` and `label`.
 *
 * @remarks Format: http://yann.lecun.com/exdb/mnist/, "file formats".
 * @throws SOURCE_UNREADABLE for a wrong magic number, sizes that do not fit, or a file that is cut off.
 */
export async function openIdx({ imagesPath, labelsPath, batchRows }: IdxOptions): Promise<Source> {
  const images = await header(imagesPath, { magic: IMAGES_MAGIC, bytes: IMAGES_HEADER_BYTES });
  const labels = await header(labelsPath, { magic: LABELS_MAGIC, bytes: LABELS_HEADER_BYTES });
  const [count = 0, height = 0, width = 0] = images.dimensions;
  const problem = problemOf({ count, height, width, labels: labels.dimensions[0] ?? 0 });
  if (problem !== undefined) throw new SourceUnreadable({ source: imagesPath, problem });
  const needed = IMAGES_HEADER_BYTES + count * height * width;
  if (images.sizeBytes < needed) {
    throw new SourceUnreadable({
      source: imagesPath,
      problem: `it has ${images.sizeBytes} bytes instead of ${needed}`,
    });
  }
  return {
    totalRows: count,
    async *batches(signal): AsyncGenerator<SourceBatch> {
      for (let first = 0; first < count; first += batchRows) {
        signal.throwIfAborted();
        const rows = Math.min(batchRows, count - first);
        const pixels = await read(
          imagesPath,
          IMAGES_HEADER_BYTES + first * height * width,
          rows * height * width,
        );
        const classes = await read(labelsPath, LABELS_HEADER_BYTES + first, rows);
        yield {
          rowCount: rows,
          rejections: [],
          columns: [
            {
              name: 'id',
              type: DataType.INT32,
              shape: [],
              values: Int32Array.from({ length: rows }, (_, row) => first + row),
            },
            { name: 'image', type: DataType.UINT8, shape: [height, width], values: pixels },
            { name: 'label', type: DataType.INT32, shape: [], values: Int32Array.from(classes) },
          ],
        };
      }
    },
  };
}

function problemOf(sizes: {
  count: number;
  height: number;
  width: number;
  labels: number;
}): string | undefined {
  const { count, height, width, labels } = sizes;
  if (height < 1 || width < 1 || height > MAX_SIDE || width > MAX_SIDE)
    return `its images claim to be ${height} x ${width}`;
  if (labels !== count) return `it has ${count} images but its labels file has ${labels}`;
  return undefined;
}

async function header(
  path: string,
  { magic, bytes }: { readonly magic: number; readonly bytes: number },
): Promise<{ dimensions: number[]; sizeBytes: number }> {
  const start = await read(path, 0, bytes);
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (view.getUint32(0) !== magic) {
    throw new SourceUnreadable({
      source: path,
      problem: 'it does not begin like an idx file of bytes (is it compressed?)',
    });
  }
  const dimensions = Array.from({ length: bytes / 4 - 1 }, (_, index) => view.getUint32(4 + index * 4));
  const file = await open(path);
  try {
    return { dimensions, sizeBytes: (await file.stat()).size };
  } finally {
    await file.close();
  }
}

async function read(path: string, position: number, length: number): Promise<Uint8Array> {
  const file = await open(path).catch((cause: Error) => {
    throw new SourceUnreadable({ source: path, problem: cause.message }, { cause });
  });
  try {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
      if (bytesRead === 0) throw new SourceUnreadable({ source: path, problem: 'it ends too early' });
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
