const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Assigns a row to the hold-out by a stable hash of its key, so that a row stays on its side as data grows and every
 * stage of a pipeline agrees without storing the split.
 *
 * @remarks FNV-1a, 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/), over the UTF-8 text `seed:key`, mixed once
 * more because the low bits of short keys are uneven.
 * @param key - Key of the row.
 * @param share - Share of rows held out, 0 to 1.
 * @param seed - Another seed gives another split.
 */
export function isHoldout(key: bigint | number | string, share: number, seed: number): boolean {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(`${seed}:${key}`)) {
    hash = Math.imul(hash ^ byte, FNV_PRIME);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  return (hash >>> 0) / 0x1_0000_0000 < share;
}
