import * as arrow from 'apache-arrow';
import { DataType, type Field, type Schema } from '../../proto/gen/lamella/data/v1/dataset_pb.ts';
import { type Column, type NumericValues, type RowBatch, widthOf } from './column.ts';
import { ArrowInvalid } from './errors.ts';
import { fieldFromArrow, schemaFromArrow } from './schema.ts';

/** A decoded Arrow IPC stream. */
export interface DecodedArrow {
  readonly schema: Schema;
  readonly batches: readonly RowBatch[];
}

/**
 * Decodes an Arrow IPC stream into typed arrays; numeric values are views of the given bytes where alignment allows.
 * No object is made for a row.
 *
 * @throws ARROW_INVALID
 */
export function decodeArrow(bytes: Uint8Array): DecodedArrow {
  try {
    // Views need their alignment; bytes cut out of a message rarely have it.
    const aligned = bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes);
    const reader = arrow.RecordBatchReader.from(aligned);
    reader.open();
    const schema = schemaFromArrow(reader.schema);
    const batches: RowBatch[] = [];
    for (const batch of reader) batches.push(toRowBatch(batch));
    return { schema, batches };
  } catch (cause) {
    if (cause instanceof ArrowInvalid) throw cause;
    throw new ArrowInvalid({ problem: (cause as Error).message }, { cause });
  }
}

function toRowBatch(batch: arrow.RecordBatch): RowBatch {
  const rowCount = batch.numRows;
  const columns = batch.schema.fields.map((field, index): Column => {
    const data = batch.data.children[index];
    if (data === undefined || data.length !== rowCount) {
      throw new ArrowInvalid({ problem: `column '${field.name}' does not have ${rowCount} rows` });
    }
    return toColumn(fieldFromArrow(field), data, rowCount);
  });
  return { rowCount, columns };
}

function toColumn(field: Field, data: arrow.Data, rowCount: number): Column {
  const shape = field.shape.map(Number);
  const valid = data.nullCount > 0 ? unpackBits(data.nullBitmap, { offset: data.offset, length: rowCount }) : undefined;
  return { name: field.name, type: field.type, shape, valid, values: valuesOf(field, data, rowCount) };
}

function valuesOf(field: Field, data: arrow.Data, rowCount: number): Column['values'] {
  if (field.type === DataType.STRING || field.type === DataType.BINARY) return variable(field, data, rowCount);
  const width = widthOf(field.shape);
  const source = field.shape.length === 0 ? data : data.children[0];
  const length = rowCount * width;
  if (source === undefined) throw new ArrowInvalid({ problem: `column '${field.name}' has no values` });
  // Offsets of sliced lists are already applied to the buffers of their children by apache-arrow.
  if (field.type === DataType.BOOL) return unpackBits(source.values as Uint8Array, { offset: source.offset, length });
  const values = source.values as NumericValues;
  if (values.length < length) {
    throw new ArrowInvalid({ problem: `column '${field.name}' has ${values.length} values instead of ${length}` });
  }
  return values.subarray(0, length);
}

function variable(field: Field, data: arrow.Data, rowCount: number): Column['values'] {
  const { valueOffsets } = data;
  const bytes = data.values as Uint8Array;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const parts = Array.from({ length: rowCount }, (_, row) => bytes.subarray(valueOffsets[row], valueOffsets[row + 1]));
  return field.type === DataType.BINARY ? parts : parts.map((part) => decoder.decode(part));
}

function unpackBits(
  bits: Uint8Array | null | undefined,
  { offset, length }: { readonly offset: number; readonly length: number },
): Uint8Array {
  const values = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) {
    const position = offset + index;
    values[index] = ((bits?.[position >> 3] ?? 0) >> (position & 7)) & 1;
  }
  return values;
}
