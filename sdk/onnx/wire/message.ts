import type { UnknownFields } from '../model.ts';
import { WireReader } from './reader.ts';
import { WireWriter } from './writer.ts';

/** How one field of a message is read and written. */
export interface Field<Value> {
  readonly number: number;
  /** Value of a field that is not in the bytes. */
  readonly empty: () => Value;
  /** Reads one occurrence and returns the new value of the field. */
  readonly read: (reader: WireReader, wireType: number, before: Value) => Value;
  readonly write: (writer: WireWriter, value: Value) => void;
}

/** Reads and writes one kind of message. */
export interface MessageCodec<Message> {
  read(reader: WireReader): Message;
  write(writer: WireWriter, message: Message): void;
}

/** All fields of a message but its unknown ones. */
export type FieldTable<Message> = { readonly [Key in keyof Omit<Message, 'unknown'>]-?: Field<Message[Key]> };

/**
 * Makes the codec of a message from a table of its fields.
 *
 * @remarks `fields` is a function, so that messages may contain themselves (a graph in an attribute of a node).
 */
export function message<Message extends UnknownFields>(
  fields: () => FieldTable<Message>,
): MessageCodec<Message> {
  let table: readonly (readonly [string, Field<unknown>])[] | undefined;
  // The table's keys are the message's keys by its type; the loop over them cannot be typed closer than this.
  const entries = (): readonly (readonly [string, Field<unknown>])[] =>
    (table ??= Object.entries(fields()) as unknown as readonly (readonly [string, Field<unknown>])[]);
  return {
    read: (reader) => readFields(reader, entries()) as Message,
    write: (writer, value) =>
      writeFields(writer, entries(), value as unknown as Readonly<Record<string, unknown>>),
  };
}

/** Reads a whole buffer as one message. @throws MODEL_MALFORMED if it is not one. */
export function decodeMessage<Message>(codec: MessageCodec<Message>, bytes: Uint8Array): Message {
  return codec.read(new WireReader(bytes));
}

/** Writes one message into a new buffer. */
export function encodeMessage<Message>(codec: MessageCodec<Message>, value: Message): Uint8Array {
  const writer = new WireWriter();
  codec.write(writer, value);
  return writer.finish();
}

function readFields(
  reader: WireReader,
  table: readonly (readonly [string, Field<unknown>])[],
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, field] of table) {
    result[key] = field.empty();
  }
  const unknown: Uint8Array[] = [];
  while (reader.hasMore) {
    const start = reader.offset;
    const tag = reader.integer();
    const number = Math.floor(tag / 8);
    if (number < 1) {
      throw reader.malformed('a field has no number');
    }
    const entry = table.find(([, field]) => field.number === number);
    if (entry === undefined) {
      reader.skip(tag % 8);
      unknown.push(reader.bytes.subarray(start, reader.offset));
    } else {
      result[entry[0]] = entry[1].read(reader, tag % 8, result[entry[0]]);
    }
  }
  if (unknown.length > 0) {
    result['unknown'] = unknown;
  }
  return result;
}

function writeFields(
  writer: WireWriter,
  table: readonly (readonly [string, Field<unknown>])[],
  value: Readonly<Record<string, unknown>>,
): void {
  for (const [key, field] of table) {
    field.write(writer, value[key]);
  }
  for (const bytes of (value['unknown'] as readonly Uint8Array[] | undefined) ?? []) {
    writer.raw(bytes);
  }
}
