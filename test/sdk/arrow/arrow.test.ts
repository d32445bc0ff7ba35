import assert from 'node:assert/strict';
import * as arrow from 'apache-arrow';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { isDeclaredError } from 'lamella/sdk';
import { type Column, decodeArrow, encodeArrow, selectColumns, sliceBatch } from 'lamella/sdk/arrow';

const COLUMNS: readonly Column[] = [
  { name: 'id', type: DataType.INT64, shape: [], values: BigInt64Array.of(1n, -2n, 3n), valid: undefined },
  {
    name: 'image',
    type: DataType.UINT8,
    shape: [2, 2],
    values: Uint8Array.from({ length: 12 }, (_, i) => i),
    valid: undefined,
  },
  { name: 'ok', type: DataType.BOOL, shape: [], values: Uint8Array.of(1, 0, 1), valid: undefined },
  {
    name: 'word',
    type: DataType.STRING,
    shape: [],
    values: ['a', '', '数字'],
    valid: Uint8Array.of(1, 0, 1),
  },
  {
    name: 'raw',
    type: DataType.BINARY,
    shape: [],
    values: [Uint8Array.of(0), new Uint8Array(), Uint8Array.of(9, 8)],
    valid: undefined,
  },
  {
    name: 'time',
    type: DataType.TIMESTAMP,
    shape: [],
    values: BigInt64Array.of(0n, 1n, -1n),
    valid: undefined,
  },
];

function isArrowInvalid(error: unknown): boolean {
  assert.equal(isDeclaredError(error) ? error.reason : error, 'ARROW_INVALID');
  return true;
}

function plain(columns: readonly Column[] | undefined): unknown {
  return columns?.map(({ values, valid, ...rest }) => ({
    ...rest,
    values: Array.from(values as Iterable<unknown>, (value) =>
      value instanceof Uint8Array ? [...value] : value,
    ),
    valid: valid === undefined ? undefined : [...valid],
  }));
}

describe('Arrow batches', () => {
  it('come back as they were, of every kind of column', () => {
    const { schema, batches } = decodeArrow(encodeArrow({ rowCount: 3, columns: COLUMNS }));
    assert.equal(batches.length, 1);
    assert.deepEqual(plain(batches[0]?.columns), plain(COLUMNS));
    assert.deepEqual(schema.fields.map(({ name, shape }) => [name, shape]).slice(0, 2), [
      ['id', []],
      ['image', [2n, 2n]],
    ]);
  });

  it('are read wherever they lie in a message', () => {
    const bytes = encodeArrow({ rowCount: 3, columns: COLUMNS });
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    assert.deepEqual(plain(decodeArrow(shifted.subarray(3)).batches[0]?.columns), plain(COLUMNS));
  });

  it('are views of the bytes, not copies', () => {
    const bytes = Uint8Array.from(encodeArrow({ rowCount: 3, columns: COLUMNS }));
    const image = decodeArrow(bytes).batches[0]?.columns[1]?.values as Uint8Array;
    assert.equal(image.buffer, bytes.buffer);
  });

  it('are read by apache-arrow as fixed-size lists', () => {
    const table = arrow.tableFromIPC(encodeArrow({ rowCount: 3, columns: COLUMNS }));
    assert.equal(String(table.schema.fields[1]?.type), 'FixedSizeList[4]<Uint8>');
    assert.deepEqual(Array.from((table.getChild('image')?.get(1) ?? []) as Iterable<number>), [4, 5, 6, 7]);
    assert.equal(table.getChild('word')?.get(1), null);
  });

  it('of several streams in one message are read one after another', () => {
    const bytes = encodeArrow({ rowCount: 3, columns: COLUMNS });
    assert.equal(decodeArrow(Buffer.concat([bytes, bytes])).batches.length, 2);
  });

  it('of several streams must have the same columns', () => {
    const bytes = encodeArrow({ rowCount: 3, columns: COLUMNS });
    const other = encodeArrow({ rowCount: 3, columns: COLUMNS.slice(0, 1) });
    assert.throws(() => decodeArrow(Buffer.concat([bytes, other])), isArrowInvalid);
  });

  it('are cut by rows and columns', () => {
    const part = sliceBatch(selectColumns({ rowCount: 3, columns: COLUMNS }, ['image', 'word']), 1, 9);
    assert.equal(part.rowCount, 2);
    assert.deepEqual(
      part.columns.map(({ name }) => name),
      ['image', 'word'],
    );
    const read = decodeArrow(encodeArrow(part)).batches[0];
    assert.deepEqual(Array.from((read?.columns[0]?.values ?? []) as Uint8Array), [4, 5, 6, 7, 8, 9, 10, 11]);
    assert.deepEqual(read?.columns[1]?.values, ['', '数字']);
    assert.deepEqual([...(read?.columns[1]?.valid ?? [])], [0, 1]);
  });

  it('that are cut off anywhere are refused or read, never a crash', () => {
    const bytes = encodeArrow({ rowCount: 3, columns: COLUMNS });
    for (let length = 0; length < bytes.length; length += 1) {
      try {
        decodeArrow(bytes.subarray(0, length));
      } catch (error) {
        isArrowInvalid(error);
      }
    }
  });

  it('with any byte changed are refused or read, never a crash', () => {
    const bytes = encodeArrow({ rowCount: 3, columns: COLUMNS });
    for (let position = 0; position < bytes.length; position += 1) {
      for (const value of [0, 0x7f, 0xff]) {
        const changed = Uint8Array.from(bytes);
        changed[position] = value;
        try {
          decodeArrow(changed);
        } catch (error) {
          isArrowInvalid(error);
        }
      }
    }
  });

  it('of a type that datasets do not have are refused by name', () => {
    const table = new arrow.Table({
      d: arrow.vectorFromArray(['a', 'b'], new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32())),
    });
    assert.throws(() => decodeArrow(arrow.tableToIPC(table)), /column 'd'/);
  });
});
