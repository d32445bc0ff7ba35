import { readFile, stat } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose';

/** Largest key set, in bytes. */
const MAX_BYTES = 1024 * 1024;

/** Shortest time between two looks for a key that is not in the set: a token with a made-up key id costs nobody a request. */
const COOLDOWN_MS = 5_000;

/** Age at which a set is fetched again even when every key was found: a key that was withdrawn must go. */
const MAX_AGE_MS = 10 * 60_000;

/** Longest wait for a set, in milliseconds. */
const TIMEOUT_MS = 5_000;

/** Times of a key set, for tests. */
export interface JwksTimes {
  readonly cooldownMs?: number;
  readonly maxAgeMs?: number;
}

/** Keys of an issuer, from a file or a URL, cached, and looked for again when a token names one that is not there. */
export function keySet(
  place: string,
  { cooldownMs = COOLDOWN_MS, maxAgeMs = MAX_AGE_MS }: JwksTimes = {},
): JWTVerifyGetKey {
  if (!place.startsWith('http:') && !place.startsWith('https:')) return fileKeySet(place);
  return createRemoteJWKSet(new URL(place), {
    cooldownDuration: cooldownMs,
    cacheMaxAge: maxAgeMs,
    timeoutDuration: TIMEOUT_MS,
  });
}

function fileKeySet(file: string): JWTVerifyGetKey {
  let cached: { readonly version: string; readonly keys: JWTVerifyGetKey } | undefined;
  return async (header, token) => {
    const { mtimeMs, size, ino } = await stat(file);
    const version = `${mtimeMs} ${size} ${ino}`;
    if (cached?.version !== version) {
      if (size > MAX_BYTES) throw new errors.JWKSInvalid(`${file} is larger than ${MAX_BYTES} bytes`);
      cached = {
        version,
        keys: createLocalJWKSet(JSON.parse(await readFile(file, 'utf8')) as JSONWebKeySet),
      };
    }
    return cached.keys(header, token);
  };
}
