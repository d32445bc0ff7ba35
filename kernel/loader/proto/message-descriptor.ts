import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  type EnumDescriptorProto,
  EnumDescriptorProtoSchema,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FieldDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import protobuf from 'protobufjs';

const SCALARS: ReadonlyMap<string, Type> = new Map([
  ['double', Type.DOUBLE],
  ['float', Type.FLOAT],
  ['int64', Type.INT64],
  ['uint64', Type.UINT64],
  ['int32', Type.INT32],
  ['fixed64', Type.FIXED64],
  ['fixed32', Type.FIXED32],
  ['bool', Type.BOOL],
  ['string', Type.STRING],
  ['bytes', Type.BYTES],
  ['uint32', Type.UINT32],
  ['sfixed32', Type.SFIXED32],
  ['sfixed64', Type.SFIXED64],
  ['sint32', Type.SINT32],
  ['sint64', Type.SINT64],
]);

/**
 * A message as its descriptor, with absolute type names.
 *
 * @remarks The parser's own `toDescriptor` is not used: it names the entry of a map like the field, which hides a message
 * of that name, shortens type names so that another type may be meant, forgets `optional`, and ends reserved ranges one
 * too early.
 */
export function messageDescriptor(message: protobuf.Type): DescriptorProto {
  const nested = message.nestedArray;
  const fields = message.fieldsArray.filter((field) => field.declaringField === null);
  return create(DescriptorProtoSchema, {
    name: message.name,
    field: fields.map((field) => fieldDescriptor(field, message)),
    extension: nested
      .filter((child) => child instanceof protobuf.Field)
      .map((field) => fieldDescriptor(field)),
    nestedType: [
      ...nested.filter((child) => child instanceof protobuf.Type).map(messageDescriptor),
      ...fields.filter((field) => field instanceof protobuf.MapField).map((field) => entryDescriptor(field)),
    ],
    enumType: nested.filter((child) => child instanceof protobuf.Enum).map(enumDescriptor),
    oneofDecl: oneofsOf(message).map(({ name }) => ({ name })),
    extensionRange: (message.extensions ?? []).flatMap((range) => rangeOf(range, 1)),
    reservedRange: (message.reserved ?? []).flatMap((range) => rangeOf(range, 1)),
    reservedName: (message.reserved ?? []).filter((name) => typeof name === 'string'),
    ...(message.getOption('deprecated') === true ? { options: { deprecated: true } } : {}),
  });
}

/** @param beyond - 1 where the end of a range does not belong to it, as in messages. */
function rangeOf(range: number[] | string, beyond: 0 | 1): { start: number; end: number }[] {
  const [start, end] = typeof range === 'string' ? [] : range;
  return start === undefined || end === undefined ? [] : [{ start, end: end + beyond }];
}

/** A field or an extension; without a message there is no oneof. */
export function fieldDescriptor(field: protobuf.Field, message?: protobuf.Type): FieldDescriptorProto {
  field.resolve();
  const isMap = field instanceof protobuf.MapField;
  const entry = `${message?.fullName ?? ''}.${entryName(field)}`;
  return create(FieldDescriptorProtoSchema, {
    name: field.name,
    number: field.id,
    ...(isMap
      ? { type: Type.MESSAGE, typeName: entry, label: Label.REPEATED }
      : { ...typeOf(field), label: labelOf(field) }),
    ...(field.extend === undefined ? {} : { extendee: extendedName(field) }),
    ...oneofOf(field, message),
    ...optionsOf(field),
  });
}

function oneofOf(field: protobuf.Field, message: protobuf.Type | undefined): { oneofIndex?: number } {
  if (message === undefined || field.partOf === null) return {};
  return { oneofIndex: oneofsOf(message).indexOf(field.partOf) };
}

function optionsOf(field: protobuf.Field): MessageInitShape<typeof FieldDescriptorProtoSchema> {
  const option = (name: string): unknown => field.getOption(name) as unknown;
  const packed = option('packed');
  const jsonName = option('json_name');
  const defaultValue = option('default') as string | number | boolean | undefined;
  return {
    ...(option('proto3_optional') === true ? { proto3Optional: true } : {}),
    // Clients do not work it out for themselves: they would show an empty name.
    jsonName: typeof jsonName === 'string' ? jsonName : jsonNameOf(field.name),
    ...(defaultValue === undefined ? {} : { defaultValue: String(defaultValue) }),
    options: {
      ...(typeof packed === 'boolean' ? { packed } : {}),
      ...(option('deprecated') === true ? { deprecated: true } : {}),
    },
  };
}

/** As the compiler does it: an underscore goes, the letter after it is upper case. */
function jsonNameOf(name: string): string {
  return name.replaceAll(/_+(.?)/g, (_match, letter: string) => letter.toUpperCase());
}

/** Those that only stand for an `optional` field come last, as the compiler puts them. */
function oneofsOf(message: protobuf.Type): protobuf.OneOf[] {
  const isSynthetic = ({ fieldsArray: [first] }: protobuf.OneOf): boolean =>
    first?.getOption('proto3_optional') === true;
  return message.oneofsArray.toSorted((a, b) => Number(isSynthetic(a)) - Number(isSynthetic(b)));
}

function labelOf(field: protobuf.Field): Label {
  if (field.repeated) return Label.REPEATED;
  return field.required ? Label.REQUIRED : Label.OPTIONAL;
}

function typeOf(field: protobuf.FieldBase): { type: Type; typeName?: string } {
  const scalar = SCALARS.get(field.type);
  if (scalar !== undefined) return { type: scalar };
  const { resolvedType } = field;
  if (resolvedType === null) throw new Error(`the type '${field.type}' of ${field.fullName} is not known`);
  const typeName = resolvedType.fullName;
  if (resolvedType instanceof protobuf.Enum) return { type: Type.ENUM, typeName };
  return { type: 'delimited' in field && field.delimited === true ? Type.GROUP : Type.MESSAGE, typeName };
}

function extendedName(field: protobuf.Field): string {
  return field.extensionField?.parent?.fullName ?? field.extend ?? '';
}

/** `some_labels` has the entry `SomeLabelsEntry`. */
function entryName(field: protobuf.FieldBase): string {
  return `${field.name.replace(/(?:^|_)([a-z0-9])/gi, (_match, letter: string) => letter.toUpperCase())}Entry`;
}

function entryDescriptor(field: protobuf.MapField): DescriptorProto {
  return create(DescriptorProtoSchema, {
    name: entryName(field),
    field: [
      {
        name: 'key',
        jsonName: 'key',
        number: 1,
        label: Label.OPTIONAL,
        type: SCALARS.get(field.keyType) ?? Type.STRING,
      },
      { name: 'value', jsonName: 'value', number: 2, label: Label.OPTIONAL, ...typeOf(field) },
    ],
    options: { mapEntry: true },
  });
}

/** An enum as its descriptor. */
export function enumDescriptor(type: protobuf.Enum): EnumDescriptorProto {
  const reserved = type.reserved as readonly (number[] | string)[] | undefined;
  return create(EnumDescriptorProtoSchema, {
    name: type.name,
    value: Object.entries(type.values).map(([name, number]) => ({ name, number })),
    reservedRange: (reserved ?? []).flatMap((range) => rangeOf(range, 0)),
    reservedName: (reserved ?? []).filter((name) => typeof name === 'string'),
    options: {
      ...(type.getOption('allow_alias') === true ? { allowAlias: true } : {}),
      ...(type.getOption('deprecated') === true ? { deprecated: true } : {}),
    },
  });
}
