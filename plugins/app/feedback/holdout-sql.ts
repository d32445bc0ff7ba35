import { identifier } from 'lamella/sdk';

/** Values of an unsigned number of 32 bits. */
const HASHES = 2 ** 32;

/**
 * SQL condition that is true for the rows that `isHoldout` of lamella/sdk holds out, so that a step which learns from
 * SQL leaves out the same rows as training and evaluation.
 *
 * @remarks The same FNV-1a and mixing in DuckDB's 64-bit arithmetic, where no product of two 32-bit numbers overflows.
 * Keys are whole numbers or texts: only their text is the same in SQL as in TypeScript.
 * @param keyColumn - Column with the key of a row.
 * @param share - Share of rows held out, 0 to 1.
 * @param seed - Seed of the split, a whole number from 0.
 */
export function holdoutSql(keyColumn: string, share: number, seed: number): string {
  const key = identifier(keyColumn);
  const pairs = `regexp_extract_all(hex(encode('${seed}:' || CAST(${key} AS VARCHAR))), '..')`;
  const bytes = `list_transform(${pairs}, lambda pair: CAST('0x' || pair AS UBIGINT))`;
  const step = `lambda hash, byte: (xor(hash, byte) * 16777619) % ${HASHES}`;
  const folded = `list_reduce(list_prepend(CAST(2166136261 AS UBIGINT), ${bytes}), ${step})`;
  const mixed = mix(mix(mix(folded, 16, 0x85ebca6b), 13, 0xc2b2ae35), 16, 1);
  // The hash is whole, so the limit may be rounded up; a whole literal keeps its type.
  return `${mixed} < ${Math.ceil(share * HASHES)}`;
}

/** One round of mixing; the list of one gives the value a name, so that it is computed once. */
function mix(value: string, shift: number, factor: number): string {
  return `list_transform([${value}], lambda hash: (xor(hash, hash >> ${shift}) * ${factor}) % ${HASHES})[1]`;
}
