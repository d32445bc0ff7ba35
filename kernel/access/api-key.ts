import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** By this prefix people and secret scanners know an API key. */
export const KEY_PREFIX = 'lml_';

const KEY = /^lml_([0-9a-f]{12})_([0-9a-f]{64})$/;

/** An API key taken apart. */
export interface ParsedKey {
  /** Public part; names the record. */
  readonly id: string;
  readonly secret: string;
}

/** A new key of 256 random bits: its text, to be shown once, and what may be kept of it. */
export function generateKey(): { readonly text: string; readonly id: string; readonly hash: string } {
  const id = randomBytes(6).toString('hex');
  const secret = randomBytes(32).toString('hex');
  return { text: `${KEY_PREFIX}${id}_${secret}`, id, hash: hashSecret(secret) };
}

/** Takes a key apart; `undefined` for anything else. */
export function parseKey(text: string): ParsedKey | undefined {
  const match = KEY.exec(text);
  return match === null ? undefined : { id: match[1] ?? '', secret: match[2] ?? '' };
}

/**
 * What is stored of a secret. SHA-256 and no slow hash: nobody can try 2^256 secrets, and a slow one would let anybody
 * burn the kernel's time with wrong keys.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Compares in a time that does not depend on where the hashes differ. */
export function isSecretOf(secret: string, hash: string): boolean {
  const actual = Buffer.from(hashSecret(secret), 'hex');
  const expected = Buffer.from(hash, 'hex');
  return actual.byteLength === expected.byteLength && timingSafeEqual(actual, expected);
}
