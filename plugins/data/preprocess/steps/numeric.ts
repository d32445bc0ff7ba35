import { identifier } from 'lamella/sdk';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { ElementType, type GraphBuilder, intAttribute, type Value } from 'lamella/sdk/onnx';
import { type Column, type Columns, columnNamed, elementsIn, isNumeric } from '../column.ts';
import { ColumnUnfit } from '../errors.ts';

/** Finds a column of numbers. @throws COLUMN_UNKNOWN COLUMN_UNFIT */
export function numericColumn(step: string, columns: Columns, name: string): Column {
  const column = columnNamed(columns, name);
  if (!isNumeric(column.type)) {
    throw new ColumnUnfit({
      step,
      column: name,
      detail: 'it does not hold numbers; encode it with one_hot first',
    });
  }
  return column;
}

/** The column after a step that computes in 32-bit floats, as ONNX models do. */
export function asFloatColumn(column: Column): Column {
  return { ...column, type: DataType.FLOAT32 };
}

/**
 * SQL that computes each element of a column as 32-bit float.
 *
 * @param compute - Makes the expression out of one element that is a FLOAT already.
 */
export function floatElements(column: Column, compute: (element: string) => string): string {
  const name = identifier(column.name);
  if (column.shape.length === 0) return compute(`CAST(${name} AS FLOAT)`);
  const list = `list_transform(${name}, lambda x: ${compute('CAST(x AS FLOAT)')})`;
  return `CAST(${list} AS FLOAT[${elementsIn(column)}])`;
}

/** ONNX value as 32-bit float. */
export function floatValue(builder: GraphBuilder, value: Value): Value {
  return value.type === ElementType.FLOAT
    ? value
    : builder.apply('Cast', [value], { to: intAttribute(ElementType.FLOAT) });
}
