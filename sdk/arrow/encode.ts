import { create } from '@bufbuild/protobuf';
import * as arrow from 'apache-arrow';
import { DataType, FieldSchema } from '../../proto/gen/lamella/data/v1/dataset_pb.ts';
import { type Column, type NumericValues, type RowBatch, widthOf } from './column.ts';
import { fieldToArrow } from './schema.ts';

/**
 * Encodes one batch as an Arrow IPC stream: schema, one record batch, end. Numeric values are not copied before
 * writing.
 */
export function encodeArrow(batch: RowBatch): Uint8Array {
  const fields = batch.columns.map((column) =>
    fieldToArrow(
      create(FieldSchema, {
        name: column.name,
        type: column.type,
        shape: column.shape.map(BigInt),
        nullable: column.valid !== undefined,
      }),
    ),
  );
  const children = batch.columns.map((column, index) =>
    columnData(column, fields[index]?.type as arrow.DataType, batch.rowCount),
  );
  const data = arrow.makeData({
    type: new arrow.Struct(fields),
    length: batch.rowCount,
    nullCount: 0,
    children,
  });
  const writer = new arrow.RecordBatchStreamWriter();
  writer.write(new arrow.RecordBatch(new arrow.Schema(fields), data));
  writer.finish();
  return writer.toUint8Array(true);
}

function columnData(column: Column, type: arrow.DataType, length: number): arrow.Data {
  const validity = column.valid === undefined ? {} : nulls(column.valid);
  if (arrow.DataType.isFixedSizeList(type)) {
    const childLength = length * widthOf(column.shape);
    const child = arrow.makeData({
      type: type.valueType as arrow.Float32,
      length: childLength,
      data: column.values as Float32Array,
    });
    return arrow.makeData({ type, length, child, ...validity });
  }
  if (column.type === DataType.STRING || column.type === DataType.BINARY) {
    return arrow.makeData({ type: type as arrow.Utf8, length, ...variable(column.values), ...validity });
  }
  const values = column.values as NumericValues;
  const data = column.type === DataType.BOOL ? packBits(values as Uint8Array) : values;
  return arrow.makeData({ type: type as arrow.Float32, length, data: data as Float32Array, ...validity });
}

/** Offsets and bytes of texts or byte strings. */
function variable(values: Column['values']): { valueOffsets: Int32Array; data: Uint8Array } {
  const encoder = new TextEncoder();
  const parts = Array.from(values as readonly (string | Uint8Array)[], (value) =>
    typeof value === 'string' ? encoder.encode(value) : value,
  );
  const valueOffsets = new Int32Array(parts.length + 1);
  parts.forEach((part, index) => {
    valueOffsets[index + 1] = (valueOffsets[index] ?? 0) + part.byteLength;
  });
  return { valueOffsets, data: Buffer.concat(parts) };
}

function nulls(valid: Uint8Array): { nullBitmap: Uint8Array; nullCount: number } {
  return {
    nullBitmap: packBits(valid),
    nullCount: valid.reduce((count, bit) => count + (bit === 0 ? 1 : 0), 0),
  };
}

/** One bit a value, least significant first. */
function packBits(values: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(values.length / 8));
  values.forEach((value, index) => {
    if (value !== 0) packed[index >> 3] = (packed[index >> 3] ?? 0) | (1 << (index & 7));
  });
  return packed;
}
