/**
 * Small seeded random source, the same on every machine.
 *
 * @remarks mulberry32, 32 bits of state; good enough for first weights and the order of rows, useless for secrets.
 * @returns A function that gives numbers from 0 (included) to 1 (excluded).
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
