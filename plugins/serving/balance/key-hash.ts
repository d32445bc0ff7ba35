/** Mixes the bits of a number, so that neighbours end up far apart (MurmurHash3's finalizer, public domain). */
export function mixed(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Hash of a text in 32 bits: FNV-1a over its UTF-16 units, then mixed. Not for secrets. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mixed(hash);
}

/** Hash of two hashes. */
export function combined(first: number, second: number): number {
  return mixed(first ^ mixed(second + 0x9e3779b9));
}

/** A hash as a number from 0 to 1, without 1. */
export function unitOf(hash: number): number {
  return hash / 0x1_0000_0000;
}
