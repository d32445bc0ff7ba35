import { decodeHuffman } from './huffman.ts';
import { ErrorCode, type HeaderBlock, Http2Fault, MalformedHeaders } from './protocol.ts';
import { STATIC_FIELDS } from './static-fields.ts';

type Field = readonly [name: string, value: string];

/** Longest header block taken, counted as HTTP/2 does; the metadata of an answer is a few lines. In bytes. */
export const HEADER_LIMIT_BYTES: number = 64 * 1024;

/** Size of the table of fields that the other side may refer to: what HTTP/2 has before anybody changes it. */
const TABLE_LIMIT_BYTES = 4_096;

/** What a field costs in a table or block beside its characters, RFC 7541 section 4.1. */
const FIELD_COST_BYTES = 32;

/** Integers above this are an attack: nothing that they could count is that large. */
const INTEGER_LIMIT: number = 2 ** 28;

const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** The controls are what is looked for. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

/** Longest block that is kept for the case that a later one is the same, in bytes. */
const REPEAT_LIMIT_BYTES = 512;

/** Blocks that are kept: answers have a head and trailers, and a connection carries calls of a few methods. */
const REPEATS = 4;

/** A block and what it says. */
interface Repeat {
  readonly block: Buffer;
  readonly fields: HeaderBlock;
}

/** Fields by name. Nothing is inherited; unlike an object without a prototype it is not a hash table from the start. */
const Fields = function Fields() {} as unknown as new () => Record<string, string>;
Object.defineProperty(Fields, 'prototype', { value: Object.create(null) });

/** Reads the header blocks of one connection, which refer to each other (HPACK, RFC 7541). */
export class HeaderDecoder {
  /** The last blocks since the table was changed: the other side mostly sends the same ones again and again. */
  #repeats: Repeat[] = [];
  #nextRepeat = 0;
  #hasChanged = false;
  /** What is wrong with the block that is being read. */
  #problem: MalformedHeaders | undefined;
  #listBytes = 0;
  #hasFields = false;
  /** Whether a field has come that is no pseudo field: those come first. */
  #hasOrdinary = false;
  /** Newest last. */
  #table: Field[] = [];
  #tableBytes = 0;
  #limitBytes = TABLE_LIMIT_BYTES;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  /**
   * Reads the next block. Blocks that are the same have the same result, which must not be changed.
   *
   * @throws MalformedHeaders for a block that is of no use; the next one can be read all the same.
   * @throws Http2Fault, after which the connection is of no use: what follows could not be read.
   */
  decode(block: Buffer): HeaderBlock {
    for (const repeat of this.#repeats) {
      if (repeat.block.length === block.length && repeat.block.equals(block)) return repeat.fields;
    }
    this.#block = block;
    this.#at = 0;
    this.#hasChanged = false;
    this.#problem = undefined;
    this.#listBytes = 0;
    this.#hasFields = false;
    this.#hasOrdinary = false;
    const fields = new Fields();
    while (this.#at < block.length) {
      const field = this.#next();
      if (field !== undefined) this.#add(fields, field);
    }
    return this.#finished(fields);
  }

  #finished(fields: HeaderBlock): HeaderBlock {
    if (this.#hasChanged) {
      this.#repeats = [];
      this.#nextRepeat = 0;
    }
    if (this.#problem !== undefined) throw this.#problem;
    if (!this.#hasChanged && this.#block.length <= REPEAT_LIMIT_BYTES) {
      this.#repeats[this.#nextRepeat] = { block: Buffer.from(this.#block), fields };
      this.#nextRepeat = (this.#nextRepeat + 1) % REPEATS;
    }
    return fields;
  }

  #add(fields: Record<string, string>, [name, value]: Field): void {
    this.#hasFields = true;
    this.#listBytes += name.length + value.length + FIELD_COST_BYTES;
    if (this.#listBytes > HEADER_LIMIT_BYTES) {
      const problem = `its headers are over ${HEADER_LIMIT_BYTES} bytes`;
      this.#problem = new MalformedHeaders(ErrorCode.enhanceYourCalm, problem);
      return;
    }
    const before = fields[name];
    const isPseudo = name.startsWith(':');
    if (isPseudo && (this.#hasOrdinary || before !== undefined)) {
      this.#problem = new MalformedHeaders(ErrorCode.protocolError, 'a pseudo field is not where it belongs');
    }
    this.#hasOrdinary ||= !isPseudo;
    fields[name] = before === undefined ? value : `${before}, ${value}`;
  }

  /** The next field, or `undefined` for what is none but an instruction about the table. */
  #next(): Field | undefined {
    const first = this.#block[this.#at] ?? 0;
    if (first >= 0x80) return this.#field(this.#integer(0x7f));
    if (first >= 0x40) {
      const field = this.#literal(0x3f);
      this.#remember(field);
      return field;
    }
    if (first < 0x20) return this.#literal(0x0f);
    const limitBytes = this.#integer(0x1f);
    if (limitBytes > TABLE_LIMIT_BYTES) throw broken('a header table is larger than agreed');
    if (this.#hasFields) throw broken('a header table changes its size in the middle of a block');
    if (limitBytes === this.#limitBytes) return undefined;
    this.#hasChanged = true;
    this.#limitBytes = limitBytes;
    this.#evict(limitBytes);
    return undefined;
  }

  #literal(mask: number): Field {
    const index = this.#integer(mask);
    const name = index === 0 ? this.#string() : this.#field(index)[0];
    const value = this.#string();
    // A name that is referred to was looked at when it came.
    if ((index === 0 && !NAME.test(name)) || CONTROL.test(value)) {
      const problem = 'a header holds characters that no header may hold';
      this.#problem = new MalformedHeaders(ErrorCode.protocolError, problem);
    }
    return [name, value];
  }

  #field(index: number): Field {
    const found =
      index <= STATIC_FIELDS.length
        ? STATIC_FIELDS[index - 1]
        : this.#table[this.#table.length - (index - STATIC_FIELDS.length)];
    if (found === undefined) throw broken('a header refers to one that was never sent');
    return found;
  }

  #remember(field: Field): void {
    this.#hasChanged = true;
    const bytes = field[0].length + field[1].length + FIELD_COST_BYTES;
    this.#evict(this.#limitBytes - bytes);
    // One that is larger than the whole table only empties it.
    if (bytes > this.#limitBytes) return;
    this.#table.push(field);
    this.#tableBytes += bytes;
  }

  /** Forgets the oldest fields until no more than this remains. */
  #evict(limitBytes: number): void {
    let count = 0;
    while (this.#tableBytes > limitBytes && count < this.#table.length) {
      const [name = '', value = ''] = this.#table[count] ?? [];
      this.#tableBytes -= name.length + value.length + FIELD_COST_BYTES;
      count += 1;
    }
    if (count > 0) this.#table.splice(0, count);
  }

  /** An integer whose first bits share a byte with something else (section 5.1). */
  #integer(mask: number): number {
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (value > INTEGER_LIMIT || scale > INTEGER_LIMIT) {
        throw broken('a header holds a number without end');
      }
      if (byte < 0x80) return value;
    }
  }

  #string(): string {
    const isCoded = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#block.length) throw broken('a header block is cut off');
    return isCoded
      ? decodeHuffman(this.#block.subarray(start, this.#at))
      : this.#block.toString('latin1', start, this.#at);
  }

  #byte(): number {
    const byte = this.#block[this.#at];
    if (byte === undefined) throw broken('a header block is cut off');
    this.#at += 1;
    return byte;
  }
}

function broken(fault: string): Http2Fault {
  return new Http2Fault(ErrorCode.compressionError, fault);
}
