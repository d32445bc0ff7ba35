import type { Field, MessageCodec } from './message.ts';
import type { WireReader } from './reader.ts';
import type { WireWriter } from './writer.ts';

/** One value on the wire: its wire type and how it is read and written. */
interface Scalar<Value> {
  readonly wireType: number;
  readonly read: (reader: WireReader) => Value;
  readonly write: (writer: WireWriter, value: Value) => void;
}

const INTEGER: Scalar<number> = {
  wireType: 0,
  read: (reader) => reader.integer(),
  write: (writer, value) => writer.varint(BigInt(value)),
};
const LONG: Scalar<bigint> = {
  wireType: 0,
  read: (reader) => BigInt.asIntN(64, reader.varint()),
  write: (writer, value) => writer.varint(value),
};
const FLOAT: Scalar<number> = {
  wireType: 5,
  read: (reader) => reader.float(),
  write: (writer, value) => writer.float(value),
};
const DOUBLE: Scalar<number> = {
  wireType: 1,
  read: (reader) => reader.double(),
  write: (writer, value) => writer.double(value),
};
const BYTES: Scalar<Uint8Array> = {
  wireType: 2,
  read: (reader) => reader.chunk(),
  write: (writer, value) => writer.chunk(value),
};
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const TEXT: Scalar<string> = {
  wireType: 2,
  read: (reader) => decoder.decode(reader.chunk()),
  write: (writer, value) => writer.chunk(encoder.encode(value)),
};

function nestedScalar<Message>(codec: () => MessageCodec<Message>): Scalar<Message> {
  return {
    wireType: 2,
    read: (reader) => reader.nested(() => codec().read(reader)),
    write: (writer, value) => writer.nested((inner) => codec().write(inner, value)),
  };
}

function readOne<Value>(scalar: Scalar<Value>, reader: WireReader, wireType: number): Value {
  if (wireType !== scalar.wireType) {
    throw reader.malformed(`a field has wire type ${wireType} instead of ${scalar.wireType}`);
  }
  return scalar.read(reader);
}

function writeOne<Value>(
  scalar: Scalar<Value>,
  number: number,
  at: { writer: WireWriter; value: Value },
): void {
  at.writer.tag(number, scalar.wireType);
  scalar.write(at.writer, at.value);
}

function required<Value>(number: number, scalar: Scalar<Value>, empty: Value): Field<Value> {
  return {
    number,
    empty: () => empty,
    read: (reader, wireType) => readOne(scalar, reader, wireType),
    write: (writer, value) => {
      if (value !== empty) {
        writeOne(scalar, number, { writer, value });
      }
    },
  };
}

function optional<Value>(number: number, scalar: Scalar<Value>): Field<Value | undefined> {
  return {
    number,
    empty: () => undefined,
    read: (reader, wireType) => readOne(scalar, reader, wireType),
    write: (writer, value) => {
      if (value !== undefined) {
        writeOne(scalar, number, { writer, value });
      }
    },
  };
}

/** Appends one occurrence; numbers may also come packed, all in one length-delimited value. */
function readInto<Value>(
  scalar: Scalar<Value>,
  at: { reader: WireReader; wireType: number; list: Value[] },
): Value[] {
  const { reader, wireType, list } = at;
  if (wireType === 2 && scalar.wireType !== 2) {
    reader.nested(() => {
      while (reader.hasMore) {
        list.push(scalar.read(reader));
      }
    });
  } else {
    list.push(readOne(scalar, reader, wireType));
  }
  return list;
}

function writeList<Value>(
  scalar: Scalar<Value>,
  number: number,
  at: { writer: WireWriter; values: readonly Value[] },
): void {
  if (at.values.length > 0 && scalar.wireType !== 2) {
    at.writer.tag(number, 2);
    at.writer.nested((inner) => at.values.forEach((value) => scalar.write(inner, value)));
    return;
  }
  for (const value of at.values) {
    writeOne(scalar, number, { writer: at.writer, value });
  }
}

function repeated<Value>(number: number, scalar: Scalar<Value>): Field<readonly Value[]> {
  return {
    number,
    empty: () => [],
    // The list was made by `empty` above and belongs to this message alone until it is returned.
    read: (reader, wireType, before) => readInto(scalar, { reader, wireType, list: before as Value[] }),
    write: (writer, values) => writeList(scalar, number, { writer, values }),
  };
}

function optionalList<Value>(number: number, scalar: Scalar<Value>): Field<readonly Value[] | undefined> {
  return {
    number,
    empty: () => undefined,
    read: (reader, wireType, before) =>
      readInto(scalar, { reader, wireType, list: (before as Value[] | undefined) ?? [] }),
    write: (writer, values) => writeList(scalar, number, { writer, values: values ?? [] }),
  };
}

/** An integer that fits a number; absent means 0. */
export function integer(number: number): Field<number> {
  return required(number, INTEGER, 0);
}
/** A text; absent means empty. */
export function text(number: number): Field<string> {
  return required(number, TEXT, '');
}
/** An integer that may be absent. */
export function optionalInteger(number: number): Field<number | undefined> {
  return optional(number, INTEGER);
}
/** A 64-bit integer that may be absent. */
export function optionalLong(number: number): Field<bigint | undefined> {
  return optional(number, LONG);
}
/** A 32-bit float that may be absent. */
export function optionalFloat(number: number): Field<number | undefined> {
  return optional(number, FLOAT);
}
/** A text that may be absent. */
export function optionalText(number: number): Field<string | undefined> {
  return optional(number, TEXT);
}
/** A byte string that may be absent. */
export function optionalBytes(number: number): Field<Uint8Array | undefined> {
  return optional(number, BYTES);
}
/** A list of integers that fit numbers. */
export function integers(number: number): Field<readonly number[]> {
  return repeated(number, INTEGER);
}
/** A list of texts. */
export function texts(number: number): Field<readonly string[]> {
  return repeated(number, TEXT);
}
/** A list of 32-bit integers that may be absent. */
export function optionalIntegers(number: number): Field<readonly number[] | undefined> {
  return optionalList(number, INTEGER);
}
/** A list of 64-bit integers that may be absent. */
export function optionalLongs(number: number): Field<readonly bigint[] | undefined> {
  return optionalList(number, LONG);
}
/** A list of 32-bit floats that may be absent. */
export function optionalFloats(number: number): Field<readonly number[] | undefined> {
  return optionalList(number, FLOAT);
}
/** A list of 64-bit floats that may be absent. */
export function optionalDoubles(number: number): Field<readonly number[] | undefined> {
  return optionalList(number, DOUBLE);
}
/** A list of byte strings that may be absent. */
export function optionalBytesList(number: number): Field<readonly Uint8Array[] | undefined> {
  return optionalList(number, BYTES);
}
/** A message that may be absent. */
export function optionalMessage<Message>(
  number: number,
  codec: () => MessageCodec<Message>,
): Field<Message | undefined> {
  return optional(number, nestedScalar(codec));
}
/** A list of messages. */
export function messages<Message>(
  number: number,
  codec: () => MessageCodec<Message>,
): Field<readonly Message[]> {
  return repeated(number, nestedScalar(codec));
}
/** A message that is always there; one that is absent from the bytes reads as `empty`. */
export function requiredMessage<Message>(
  number: number,
  codec: () => MessageCodec<Message>,
  empty: () => Message,
): Field<Message> {
  const field = optional(number, nestedScalar(codec));
  return {
    number,
    empty,
    read: (reader, wireType) => readOne(nestedScalar(codec), reader, wireType),
    write: field.write,
  };
}
