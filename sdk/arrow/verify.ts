import { FlatTable, ReadBudget } from './flat-table.ts';
import { ArrowInvalid } from './errors.ts';

/** Kinds of headers of a Message (format/Message.fbs). */
const SCHEMA = 1;
const RECORD_BATCH = 3;

/** Precedes the length of a message since Arrow 0.15. */
const CONTINUATION = -1;

/** Arrow types that datasets have (format/Schema.fbs): Int, FloatingPoint, Binary, Utf8, Bool, Timestamp, FixedSizeList. */
const TYPES: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 10, 16]);

/** Lists of lists are no dataset columns. */
const MAX_DEPTH = 2;

/** Bytes of a FieldNode and of a Buffer, both two 64-bit numbers. */
const PAIR_BYTES = 16;

/**
 * Checks that every length in an Arrow IPC stream fits the bytes that are there.
 *
 * @remarks apache-arrow trusts its input: a changed byte in a vector's length makes it loop until memory is used up.
 * Source: Arrow's format/Message.fbs, format/Schema.fbs and "Encapsulated message format".
 * @throws ARROW_INVALID; a `RangeError` where a number lies outside the bytes.
 */
export function verifyArrow(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = 0;
  while (position + 4 <= bytes.byteLength) {
    let length = view.getInt32(position, true);
    position += 4;
    if (length === CONTINUATION) {
      length = view.getInt32(position, true);
      position += 4;
    }
    // The end of one stream; another may follow.
    if (length === 0) continue;
    if (length < 0 || position + length > bytes.byteLength) {
      throw new ArrowInvalid({ problem: `a message claims ${length} bytes` });
    }
    const bodyLength = verifyMessage(new DataView(bytes.buffer, bytes.byteOffset + position, length));
    position += length + bodyLength;
    if (position > bytes.byteLength)
      throw new ArrowInvalid({ problem: `a body of ${bodyLength} bytes is cut off` });
  }
}

/** @returns Length of the body. */
function verifyMessage(view: DataView): number {
  const message = FlatTable.root(view, new ReadBudget(view.byteLength));
  const bodyLength = size(message.int64(3), 'body');
  verifyMetadata(message, 4);
  const kind = message.uint8(1);
  const header = message.table(2);
  if (header === undefined) throw new ArrowInvalid({ problem: 'a message has no header' });
  if (kind === SCHEMA) {
    verifyMetadata(header, 2);
    header.vector(3, 8);
    for (const field of header.tables(1)) verifyField(field, 1);
  } else if (kind === RECORD_BATCH) {
    verifyBatch(header, bodyLength);
  } else {
    throw new ArrowInvalid({
      problem: `it has a message of kind ${kind}, not only a schema and record batches`,
    });
  }
  return bodyLength;
}

function verifyField(field: FlatTable, depth: number): void {
  const name = field.text(0) ?? '';
  const type = field.uint8(2);
  if (field.table(4) !== undefined) {
    throw new ArrowInvalid({ problem: `column '${name}' is dictionary-encoded, which is not supported` });
  }
  if (!TYPES.has(type) || depth > MAX_DEPTH) {
    throw new ArrowInvalid({
      problem: `column '${name}' is of Arrow type number ${type} at depth ${depth}, which is not supported`,
    });
  }
  // Only Timestamp has a vector in its type: the name of its time zone.
  if (type === 10) field.table(3)?.text(1);
  verifyMetadata(field, 6);
  for (const child of field.tables(5)) verifyField(child, depth + 1);
}

function verifyBatch(batch: FlatTable, bodyLength: number): void {
  // Every type takes a bit a row or more, so that the body bounds the rows.
  const rows = (length: bigint): void => {
    if (size(length, 'batch') > bodyLength * 8) {
      throw new ArrowInvalid({ problem: `${length} rows are claimed in a body of ${bodyLength} bytes` });
    }
  };
  rows(batch.int64(0));
  if (batch.table(3) !== undefined) throw new ArrowInvalid({ problem: 'it is compressed' });
  batch.vector(4, 8);
  for (const [length, nulls] of batch.pairs(1, PAIR_BYTES)) {
    rows(length);
    if (nulls < 0n || nulls > length)
      throw new ArrowInvalid({ problem: `a column of ${length} rows claims ${nulls} gaps` });
  }
  for (const [offset, length] of batch.pairs(2, PAIR_BYTES)) {
    if (size(offset, 'buffer') + size(length, 'buffer') > bodyLength) {
      throw new ArrowInvalid({
        problem: `a buffer of ${length} bytes lies outside its body of ${bodyLength}`,
      });
    }
  }
}

function verifyMetadata(table: FlatTable, field: number): void {
  for (const entry of table.tables(field)) {
    entry.text(0);
    entry.text(1);
  }
}

function size(value: bigint, what: string): number {
  if (value < 0n || value > BigInt(2 ** 31 - 1))
    throw new ArrowInvalid({ problem: `a ${what} claims the size ${value}` });
  return Number(value);
}
