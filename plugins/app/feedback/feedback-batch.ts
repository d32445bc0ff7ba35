import {
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

/** One column: whole numbers, or byte vectors of a fixed width. */
export interface ColumnData {
  readonly name: string;
  readonly values: Int32Array | Uint8Array;
  /** Bytes a row of a byte column has. */
  readonly width?: number;
  /** Sizes of the dimensions of a byte row, kept as the store expects them: the batch must fit the version's schema. */
  readonly shape?: readonly bigint[];
}

/** Encodes columns as an Arrow IPC stream with one batch. */
export function encodeBatch(columns: readonly ColumnData[], rows: number): Uint8Array {
  const fields = columns.map(({ name, values, width = 1, shape = [] }) =>
    values instanceof Int32Array
      ? new Field(name, new Int32(), false)
      : new Field(name, listType(width), false, new Map([['shape', shape.join(',')]])),
  );
  const children = columns.map(({ values, width = 1 }) =>
    values instanceof Int32Array
      ? makeData({ type: new Int32(), data: values, length: rows })
      : makeData({
          type: listType(width),
          length: rows,
          child: makeData({ type: new Uint8(), data: values, length: values.length }),
        }),
  );
  const schema = new Schema(fields);
  const data = makeData({ type: new Struct(fields), length: rows, nullCount: 0, children });
  const writer = new RecordBatchStreamWriter();
  writer.write(new RecordBatch(schema, data));
  writer.finish();
  return writer.toUint8Array(true);
}

function listType(width: number): FixedSizeList<Uint8> {
  return new FixedSizeList(width, new Field('item', new Uint8(), false));
}
