import type { RecordBatch, Vector } from 'apache-arrow';
import type { Split } from 'lamella/proto/lamella/model/v1/model';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { type CallContext, type Client, isHoldout } from 'lamella/sdk';
import type { NumberArray } from './classifier.ts';
import { ColumnUnknown, RowInvalid, RowsIncomplete, SplitInvalid } from './errors.ts';

/** Which rows and columns are wanted. */
export interface RowSelection {
  readonly version: string;
  readonly feature: string;
  readonly label: string;
  /** Column by which figures are given too; empty means none. */
  readonly slice: string;
  /** Absent means all rows. */
  readonly split: Split | undefined;
}

/** One row; `values` is a view and only valid until the next row. */
export interface EvaluationRow {
  readonly values: ArrayLike<number | bigint>;
  readonly label: number;
  readonly slice: string | undefined;
}

const DEFAULT_SHARE = 0.2;

/**
 * Streams the rows of the hold-out, one Arrow batch in memory at a time.
 *
 * @remarks Counts all rows it reads: figures over a part of the data look as good as any, so a short read must be an
 * error and not a smaller hold-out.
 * @throws COLUMN_UNKNOWN ROW_INVALID SPLIT_INVALID ROWS_INCOMPLETE
 */
export async function* holdoutRows(
  store: Client<typeof StoreService>,
  selection: RowSelection,
  context: CallContext,
): AsyncGenerator<EvaluationRow> {
  const isWanted = holdoutTest(selection.split);
  const key = selection.split === undefined ? '' : selection.split.keyColumn || 'id';
  const columns = [...new Set([key, selection.feature, selection.label, selection.slice])].filter(isNamed);
  const { version } = await store.getVersion({ name: selection.version }, { context });
  // The name with the fingerprint, so that `latest` cannot change in between.
  const name = version?.name ?? selection.version;
  let read = 0;
  for await (const batch of batchesOf(store.readVersion({ name, columns }, { context }))) {
    read += batch.numRows;
    yield* rowsOf(batch, { ...selection, version: name, key, isWanted });
  }
  if (BigInt(read) !== version?.rowCount) {
    throw new RowsIncomplete({
      version: name,
      read: String(read),
      expected: String(version?.rowCount ?? 'unknown'),
    });
  }
}

function isNamed(name: string): boolean {
  return name !== '';
}

/** Reads one Arrow stream cut into chunks, or several streams one after another. */
async function* batchesOf(
  answers: AsyncIterable<{ readonly arrowIpc: Uint8Array }>,
): AsyncGenerator<RecordBatch> {
  // Loaded when first used: Arrow takes longer to load than the rest of the plugin.
  const { RecordBatchReader } = await import('apache-arrow');
  const chunks = chunksOf(answers);
  try {
    for await (const reader of RecordBatchReader.readAll(chunks)) yield* reader;
  } finally {
    // Arrow does not end its source when reading stops early, and the call would stay open.
    await chunks.return(undefined);
  }
}

async function* chunksOf(
  answers: AsyncIterable<{ readonly arrowIpc: Uint8Array }>,
): AsyncGenerator<Uint8Array, undefined> {
  for await (const { arrowIpc } of answers) yield arrowIpc;
}

type KeyTest = (key: bigint | number | string) => boolean;

function holdoutTest(split: Split | undefined): KeyTest {
  if (split === undefined) return () => true;
  const share = split.holdoutShare === 0 ? DEFAULT_SHARE : split.holdoutShare;
  if (!(share > 0 && share < 1)) throw new SplitInvalid({ share: String(share) });
  return (key) => isHoldout(key, share, split.seed);
}

function* rowsOf(
  batch: RecordBatch,
  {
    version,
    feature,
    label,
    slice,
    key,
    isWanted,
  }: RowSelection & { readonly key: string; readonly isWanted: KeyTest },
): Generator<EvaluationRow> {
  const column = (name: string): Vector => {
    const vector = batch.getChild(name);
    if (vector === null) throw new ColumnUnknown({ column: name, version });
    return vector;
  };
  const keys = key === '' ? undefined : column(key);
  const slices = slice === '' ? undefined : column(slice);
  const labels = column(label);
  const features = column(feature);
  const valuesAt = valueReader(features, feature);
  for (let row = 0; row < batch.numRows; row += 1) {
    const id: unknown = keys === undefined ? row : keys.get(row);
    if (!isKey(id))
      throw new RowInvalid({ column: key, key: String(id), detail: 'it is no text and no whole number' });
    if (!isWanted(id)) continue;
    const values = valuesAt(row);
    if (values === undefined)
      throw new RowInvalid({ column: feature, key: String(id), detail: 'it is missing' });
    yield { values, label: classOf(labels.get(row), label, id), slice: slices && String(slices.get(row)) };
  }
}

function isKey(value: unknown): value is bigint | number | string {
  return typeof value === 'bigint' || typeof value === 'number' || typeof value === 'string';
}

function classOf(value: unknown, column: string, key: bigint | number | string): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0) return number;
  throw new RowInvalid({
    column,
    key: String(key),
    detail: `${String(value)} is no class; classes count from 0`,
  });
}

type ReadValues = (row: number) => ArrayLike<number | bigint> | undefined;

/** Reads rows of a tensor column as views over its buffer, and rows of a plain column as lists of one. */
function valueReader(vector: Vector, column: string): ReadValues {
  const [data] = vector.data;
  const child = data?.children[0];
  const width: unknown = (vector.type as { readonly listSize?: number }).listSize;
  if (data !== undefined && child !== undefined && typeof width === 'number') {
    const values = child.values as NumberArray;
    return (row) => {
      const start = (data.offset + row) * width;
      return vector.isValid(row) ? values.subarray(start, start + width) : undefined;
    };
  }
  return (row) => {
    const value: unknown = vector.get(row);
    if (value === null) return undefined;
    if (typeof value === 'boolean') return [Number(value)];
    if (typeof value === 'number' || typeof value === 'bigint') return [value];
    throw new RowInvalid({ column, key: String(row), detail: 'it holds neither numbers nor tensors' });
  };
}
