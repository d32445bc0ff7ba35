import { create } from '@bufbuild/protobuf';
import * as arrow from 'apache-arrow';
import {
  DataType,
  type Field,
  FieldSchema,
  type Schema,
  SchemaSchema,
} from '../../proto/gen/lamella/data/v1/dataset_pb.ts';
import { widthOf } from './column.ts';
import { ArrowInvalid } from './errors.ts';

/** Arrow metadata key that keeps the shape of a vector column, as `28,28`. */
const SHAPE_KEY = 'shape';

const SCALARS: ReadonlyMap<DataType, () => arrow.DataType> = new Map<DataType, () => arrow.DataType>([
  [DataType.BOOL, () => new arrow.Bool()],
  [DataType.INT8, () => new arrow.Int8()],
  [DataType.INT16, () => new arrow.Int16()],
  [DataType.INT32, () => new arrow.Int32()],
  [DataType.INT64, () => new arrow.Int64()],
  [DataType.UINT8, () => new arrow.Uint8()],
  [DataType.UINT16, () => new arrow.Uint16()],
  [DataType.UINT32, () => new arrow.Uint32()],
  [DataType.UINT64, () => new arrow.Uint64()],
  [DataType.FLOAT32, () => new arrow.Float32()],
  [DataType.FLOAT64, () => new arrow.Float64()],
  [DataType.STRING, () => new arrow.Utf8()],
  [DataType.BINARY, () => new arrow.Binary()],
  [DataType.TIMESTAMP, () => new arrow.TimestampMicrosecond()],
]);

/** Arrow field of a field of ours; a shaped column becomes a fixed-size list with its shape in the metadata. */
export function fieldToArrow(
  field: Pick<Field, 'name' | 'type' | 'shape' | 'nullable' | 'metadata'>,
): arrow.Field {
  const make = SCALARS.get(field.type);
  if (make === undefined) throw new ArrowInvalid({ problem: `column '${field.name}' has no type` });
  const metadata = new Map(Object.entries(field.metadata));
  if (field.shape.length === 0) return new arrow.Field(field.name, make(), field.nullable, metadata);
  metadata.set(SHAPE_KEY, field.shape.join(','));
  const list = new arrow.FixedSizeList(widthOf(field.shape), new arrow.Field('item', make(), false));
  return new arrow.Field(field.name, list, field.nullable, metadata);
}

/**
 * Field of ours for an Arrow field.
 *
 * @throws ARROW_INVALID if Lamella has no such type.
 */
export function fieldFromArrow(field: arrow.Field): Field {
  const metadata = Object.fromEntries(field.metadata);
  const { [SHAPE_KEY]: shape, ...rest } = metadata;
  if (arrow.DataType.isFixedSizeList(field.type)) {
    const width = field.type.listSize;
    const sizes = shape === undefined ? [width] : shape.split(',').map(Number);
    return create(FieldSchema, {
      name: field.name,
      type: scalarType(field.name, field.type.valueType as arrow.DataType),
      shape: (isShapeOf(sizes, width) ? sizes : [width]).map(BigInt),
      nullable: field.nullable,
      metadata: rest,
    });
  }
  const type = scalarType(field.name, field.type as arrow.DataType);
  return create(FieldSchema, { name: field.name, type, nullable: field.nullable, metadata: rest });
}

/** The metadata is only a hint: a shape that does not fit the list is ignored. */
function isShapeOf(sizes: readonly number[], width: number): boolean {
  return sizes.every((size) => Number.isSafeInteger(size) && size > 0) && widthOf(sizes) === width;
}

function scalarType(name: string, type: arrow.DataType): DataType {
  for (const [known, make] of SCALARS) {
    // By name: the reader makes general classes (Int of 64 bits) where we make particular ones.
    if (nameOf(make()) === nameOf(type)) return known;
  }
  throw new ArrowInvalid({
    problem: `column '${name}' is of Arrow type ${nameOf(type)}, which is not supported`,
  });
}

/** Name of an Arrow type with its parameters, such as `Timestamp<MICROSECOND>`. */
function nameOf(type: arrow.DataType): string {
  return `${type as unknown as string}`;
}

/** Schema of ours for an Arrow schema. */
export function schemaFromArrow(schema: arrow.Schema): Schema {
  return create(SchemaSchema, { fields: schema.fields.map(fieldFromArrow) });
}
