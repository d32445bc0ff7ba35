import { ErrorCode, Http2Fault } from './protocol.ts';

/**
 * Bits of the code of each byte value and, last, of the end mark (RFC 7541 appendix B). The code is canonical: codes
 * are given out by length, then by value, so that the lengths say all.
 */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const END_MARK = 256;

/** Two entries a node: the next node, or the complement of a symbol. Node 0 is the root, which nothing leads to. */
const NODES: Int16Array = buildTree();

function buildTree(): Int16Array {
  const nodes = new Int16Array(2 * CODE_BITS.length);
  const symbols = CODE_BITS.map((bits, symbol) => ({ bits, symbol })).toSorted(
    (left, right) => left.bits - right.bits || left.symbol - right.symbol,
  );
  let nodeCount = 1;
  let code = 0;
  let codeBits = 0;
  for (const { bits, symbol } of symbols) {
    code *= 2 ** (bits - codeBits);
    codeBits = bits;
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit -= 1) {
      const branch = 2 * node + ((code >>> bit) & 1);
      if (nodes[branch] === 0) {
        nodes[branch] = nodeCount;
        nodeCount += 1;
      }
      node = nodes[branch] ?? 0;
    }
    nodes[2 * node + (code & 1)] = ~symbol;
    code += 1;
  }
  return nodes;
}

/**
 * Decodes a Huffman-coded string of a header block, as Latin-1.
 *
 * @throws Http2Fault for an end mark inside, and for padding that is none.
 */
export function decodeHuffman(bytes: Uint8Array): string {
  let text = '';
  let node = 0;
  // Padding is the beginning of the end mark, which is all ones, and shorter than a byte.
  let pendingBits = 0;
  let isAllOnes = true;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      const value = (byte >> bit) & 1;
      const next = NODES[2 * node + value] ?? 0;
      pendingBits += 1;
      isAllOnes &&= value === 1;
      if (next >= 0) {
        node = next;
        continue;
      }
      if (~next === END_MARK) throw new Http2Fault(ErrorCode.compressionError, 'a header ends inside itself');
      text += String.fromCharCode(~next);
      node = 0;
      pendingBits = 0;
      isAllOnes = true;
    }
  }
  if (pendingBits > 7 || !isAllOnes) {
    throw new Http2Fault(ErrorCode.compressionError, 'a header is padded with something else than ones');
  }
  return text;
}
