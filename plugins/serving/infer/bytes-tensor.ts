import { RequestInvalid } from './errors.ts';

const TEXT = new TextDecoder('utf-8', { fatal: true });

/** Text of one element. @throws REQUEST_INVALID for bytes that are no UTF-8, since ONNX strings are text. */
export function elementText(bytes: Uint8Array, input: string): string {
  try {
    return TEXT.decode(bytes);
  } catch {
    throw new RequestInvalid({
      problem: `input '${input}' has an element that is no UTF-8 text, which the model takes`,
    });
  }
}

/**
 * Reads BYTES elements: each its length in 4 little-endian bytes, then its bytes.
 *
 * @throws REQUEST_INVALID if the lengths do not add up to the size of the tensor.
 */
export function readBytesTensor(bytes: Uint8Array, input: string): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elements: string[] = [];
  for (let offset = 0; offset < bytes.byteLength;) {
    const start = offset + 4;
    const end = start > bytes.byteLength ? Infinity : start + view.getUint32(offset, true);
    if (end > bytes.byteLength) {
      const problem = `input '${input}' ends within element ${elements.length}; each one is 4 bytes of length and its bytes`;
      throw new RequestInvalid({ problem });
    }
    elements.push(elementText(bytes.subarray(start, end), input));
    offset = end;
  }
  return elements;
}

/** Writes BYTES elements in the same form. */
export function writeBytesTensor(elements: readonly string[]): Uint8Array {
  const texts = elements.map((element) => Buffer.from(element));
  const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + 4 + text.byteLength, 0));
  let offset = 0;
  for (const text of texts) {
    offset = bytes.writeUInt32LE(text.byteLength, offset);
    offset += text.copy(bytes, offset);
  }
  return bytes;
}
