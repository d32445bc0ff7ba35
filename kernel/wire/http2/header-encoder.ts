/** Fields by their index in the static table, RFC 7541 appendix A. */
const METHOD_POST = 0x83;
const SCHEME_HTTP = 0x86;
const SCHEME_HTTPS = 0x87;

/** A literal field with a new name that the other side does not keep: no state to agree upon, and no field leaks into one. */
const LITERAL = 0;

/** Largest integer that fits the seven bits beside a flag. */
const SEVEN_BITS = 0x7f;

/** The part of a request's header block that all calls of a method share. */
export function methodBlock(isSecure: boolean, authority: string, path: string): Buffer {
  return Buffer.concat([
    Buffer.from([METHOD_POST, isSecure ? SCHEME_HTTPS : SCHEME_HTTP]),
    encodeField(':authority', authority),
    encodeField(':path', path),
    encodeField('content-type', 'application/grpc'),
    encodeField('te', 'trailers'),
  ]);
}

/** One field as a literal without Huffman code (HPACK, section 6.2.2): the caller has checked its characters. */
export function encodeField(name: string, value: string): Buffer {
  const bytes = Buffer.allocUnsafe(
    1 + integerBytes(name.length) + name.length + integerBytes(value.length) + value.length,
  );
  bytes[0] = LITERAL;
  writeString(bytes, writeString(bytes, 1, name), value);
  return bytes;
}

function writeString(bytes: Buffer, start: number, text: string): number {
  const at = writeInteger(bytes, start, text.length);
  return at + bytes.write(text, at, 'latin1');
}

function integerBytes(value: number): number {
  if (value < SEVEN_BITS) return 1;
  let bytes = 2;
  for (let rest = value - SEVEN_BITS; rest >= 0x80; rest >>>= 7) bytes += 1;
  return bytes;
}

function writeInteger(bytes: Buffer, start: number, value: number): number {
  let at = start;
  if (value < SEVEN_BITS) {
    bytes[at] = value;
    return at + 1;
  }
  bytes[at] = SEVEN_BITS;
  let rest = value - SEVEN_BITS;
  for (at += 1; rest >= 0x80; at += 1) {
    bytes[at] = (rest & SEVEN_BITS) | 0x80;
    rest >>>= 7;
  }
  bytes[at] = rest;
  return at + 1;
}
