export {
  type Column,
  type ColumnValues,
  type NumericValues,
  numericArray,
  type RowBatch,
  widthOf,
} from './column.ts';
export { type DecodedArrow, decodeArrow } from './decode.ts';
export { encodeArrow } from './encode.ts';
export { ArrowInvalid } from './errors.ts';
export { fieldFromArrow, fieldToArrow, schemaFromArrow } from './schema.ts';
export { selectColumns, sliceBatch } from './slice.ts';
