import * as arrow from 'apache-arrow';
import { DataType, type Field, type Schema } from '../../proto/gen/lamella/data/v1/dataset_pb.ts';
import { type Column, type NumericValues, type RowBatch, widthOf } from './column.ts';
import { ArrowInvalid } from './errors.ts';
import { fieldFromArrow, schemaFromArrow } from './schema.ts';
import { verifyArrow } from './verify.ts';

/** A decoded Arrow IPC stream. */
export interface DecodedArrow {
  readonly schema: Schema;
  readonly batches: readonly RowBatch[];
}

/**
 * Decodes an Arrow IPC stream, or several of one schema one after another, into typed arrays; numeric values are views
 * of the given bytes where alignment allows. No object is made for a row.
 *
 * @remarks The bytes may come from anybody: every length they claim is checked against the bytes that are there before
 * anything is allocated for it. Format: Apache Arrow columnar format, "IPC streaming format".
 * @throws ARROW_INVALID
 */
export function decodeArrow(bytes: Uint8Array): DecodedArrow {
  try {
    verifyArrow(bytes);
    // Views need their alignment; bytes cut out of a message rarely have it.
    const aligned = bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes);
    let schema: Schema | undefined;
    const batches: RowBatch[] = [];
    for (const reader of arrow.RecordBatchReader.readAll(aligned) as Iterable<arrow.RecordBatchReader>) {
      for (const batch of reader as Iterable<arrow.RecordBatch>) batches.push(toRowBatch(batch));
      schema = sameSchema(schema, schemaFromArrow(reader.schema));
    }
    if (schema === undefined) throw new ArrowInvalid({ problem: 'it is empty' });
    return { schema, batches };
  } catch (cause) {
    if (cause instanceof ArrowInvalid) throw cause;
    throw new ArrowInvalid({ problem: (cause as Error).message }, { cause });
  }
}

/** Streams in one message must agree: whoever checks the first schema has checked them all. */
function sameSchema(first: Schema | undefined, next: Schema): Schema {
  if (first === undefined) return next;
  const describe = ({ fields }: Schema): string =>
    fields.map(({ name, type, shape }) => `${name} ${type} ${shape.join(',')}`).join('\n');
  if (describe(first) !== describe(next))
    throw new ArrowInvalid({ problem: 'its parts have different columns' });
  return first;
}

function toRowBatch(batch: arrow.RecordBatch): RowBatch {
  const rowCount = batch.numRows;
  if (rowCount > 0 && batch.schema.fields.length === 0) {
    throw new ArrowInvalid({ problem: `it claims ${rowCount} rows without a column` });
  }
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
  const valid =
    data.nullCount > 0 ? unpackBits(data.nullBitmap, { offset: data.offset, length: rowCount }) : undefined;
  return { name: field.name, type: field.type, shape, valid, values: valuesOf(field, data, rowCount) };
}

function valuesOf(field: Field, data: arrow.Data, rowCount: number): Column['values'] {
  if (field.type === DataType.STRING || field.type === DataType.BINARY)
    return variable(field, data, rowCount);
  const width = widthOf(field.shape);
  const source = field.shape.length === 0 ? data : data.children[0];
  const length = rowCount * width;
  if (source === undefined) throw new ArrowInvalid({ problem: `column '${field.name}' has no values` });
  // Offsets of sliced lists are already applied to the buffers of their children by apache-arrow.
  if (field.type === DataType.BOOL)
    return unpackBits(source.values as Uint8Array, { offset: source.offset, length });
  const values = source.values as NumericValues;
  if (values.length < length) {
    throw new ArrowInvalid({
      problem: `column '${field.name}' has ${values.length} values instead of ${length}`,
    });
  }
  return values.subarray(0, length);
}

function variable(field: Field, data: arrow.Data, rowCount: number): Column['values'] {
  const { valueOffsets } = data;
  if (valueOffsets.length <= rowCount && rowCount > 0) {
    throw new ArrowInvalid({
      problem: `column '${field.name}' has ${valueOffsets.length} offsets for ${rowCount} rows`,
    });
  }
  const bytes = data.values as Uint8Array;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const parts = Array.from({ length: rowCount }, (_, row) =>
    bytes.subarray(valueOffsets[row], valueOffsets[row + 1]),
  );
  return field.type === DataType.BINARY ? parts : parts.map((part) => decoder.decode(part));
}

function unpackBits(
  bits: Uint8Array | null | undefined,
  { offset, length }: { readonly offset: number; readonly length: number },
): Uint8Array {
  if ((bits?.length ?? 0) * 8 < offset + length) {
    throw new ArrowInvalid({ problem: `a bitmap is too short for ${length} values` });
  }
  const values = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) {
    const position = offset + index;
    values[index] = ((bits?.[position >> 3] ?? 0) >> (position & 7)) & 1;
  }
  return values;
}
