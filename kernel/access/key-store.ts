import type { Clock, Logger, Storage } from '../../sdk/index.ts';
import { generateKey, isSecretOf, parseKey } from './api-key.ts';
import { CredentialsInvalid, ApiKeyExists, ApiKeyInvalid, ApiKeyNotFound } from './errors.ts';
import type { Principal } from './principal.ts';

/** What is known of an API key; its secret is not. */
export interface ApiKey {
  /** Public part of the key's text. */
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createMs: number;
  /** `undefined` for a key that does not expire. */
  readonly expiresMs: number | undefined;
  /** Last use, exact to a minute. */
  readonly lastUsedMs: number | undefined;
}

/** Input of {@link KeyStore.create}. */
export interface NewKey {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresMs: number | undefined;
}

/** Parts of {@link KeyStore}. */
export interface KeyStoreParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Logger;
}

interface StoredKey extends ApiKey {
  readonly hash: string;
}

interface Entry {
  key: StoredKey;
  readonly principal: Principal;
  /** Last use that was written. */
  writtenMs: number;
}

const PREFIX = 'access/keys/';

/** Names are for people, logs and `key:NAME`. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

const MAX_SCOPES = 32;

/** Time between two writes of a key's last use, in milliseconds: a write a call would make the disk the limit. */
const USE_INTERVAL_MS = 60_000;

/** A hash that no secret has, compared with when a key is unknown, so that this takes as long as a wrong secret. */
const NO_HASH = '0'.repeat(64);

/** API keys of one kernel: all in memory, every change written before it counts. */
export class KeyStore {
  readonly #parts: KeyStoreParts;
  readonly #byId: Map<string, Entry> = new Map();

  private constructor(parts: KeyStoreParts) {
    this.#parts = parts;
  }

  /** Reads all keys. */
  static async open(parts: KeyStoreParts): Promise<KeyStore> {
    const store = new KeyStore(parts);
    for await (const { value } of parts.storage.range(PREFIX)) store.#keep(value as StoredKey);
    return store;
  }

  #keep(key: StoredKey): void {
    const principal: Principal = { kind: 'key', name: `key:${key.name}`, grants: key.scopes };
    this.#byId.set(key.id, { key, principal, writtenMs: key.lastUsedMs ?? 0 });
  }

  /** All keys by name. */
  list(): ApiKey[] {
    return [...this.#byId.values()]
      .map(({ key }) => withoutHash(key))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Whether any key could be used now. */
  get hasUsable(): boolean {
    return [...this.#byId.values()].some(({ key }) => !this.#isExpired(key));
  }

  /** @throws API_KEY_NOT_FOUND */
  principal(name: string): Principal {
    return this.#byName(name).principal;
  }

  #byName(name: string): Entry {
    for (const entry of this.#byId.values()) if (entry.key.name === name) return entry;
    throw new ApiKeyNotFound({ key: name.slice(0, 64) });
  }

  /**
   * Makes a key. Its text cannot be had again.
   *
   * @throws API_KEY_INVALID, API_KEY_EXISTS
   */
  async create({
    name,
    scopes,
    expiresMs,
  }: NewKey): Promise<{ readonly key: ApiKey; readonly text: string }> {
    if (!NAME.test(name)) {
      throw new ApiKeyInvalid({ problem: 'a name has 1 to 63 of a-z, 0-9, dot, dash and underscore' });
    }
    if (scopes.length === 0 || scopes.length > MAX_SCOPES) {
      throw new ApiKeyInvalid({ problem: `it needs 1 to ${MAX_SCOPES} scopes, for example user` });
    }
    const createMs = this.#parts.clock.now();
    if (expiresMs !== undefined && !(expiresMs > createMs)) {
      throw new ApiKeyInvalid({ problem: 'it would be expired at once; choose a later time' });
    }
    for (const { key } of this.#byId.values()) if (key.name === name) throw new ApiKeyExists({ key: name });
    const { text, id, hash } = generateKey();
    const key: StoredKey = {
      id,
      name,
      scopes: [...scopes],
      createMs,
      expiresMs,
      lastUsedMs: undefined,
      hash,
    };
    await this.#parts.storage.put(PREFIX + id, key);
    this.#keep(key);
    return { key: withoutHash(key), text };
  }

  /** Calls that start from now on are refused. @throws API_KEY_NOT_FOUND */
  async revoke(name: string): Promise<void> {
    const { id } = this.#byName(name).key;
    this.#byId.delete(id);
    await this.#parts.storage.delete(PREFIX + id);
  }

  /** Who sends this key. @throws CREDENTIALS_INVALID */
  verify(text: string): Principal {
    const parsed = parseKey(text);
    const entry = parsed === undefined ? undefined : this.#byId.get(parsed.id);
    const isRight = isSecretOf(parsed?.secret ?? '', entry?.key.hash ?? NO_HASH);
    if (entry === undefined || !isRight) {
      throw new CredentialsInvalid({ problem: 'this API key is unknown or revoked' });
    }
    if (this.#isExpired(entry.key)) {
      throw new CredentialsInvalid({ problem: `API key '${entry.key.name}' has expired; make a new one` });
    }
    this.#used(entry);
    return entry.principal;
  }

  #isExpired({ expiresMs }: ApiKey): boolean {
    return expiresMs !== undefined && this.#parts.clock.now() >= expiresMs;
  }

  #used(entry: Entry): void {
    const { storage, clock, log } = this.#parts;
    const nowMs = clock.now();
    entry.key = { ...entry.key, lastUsedMs: nowMs };
    // The clock may be set back: then too a write is due.
    if (Math.abs(nowMs - entry.writtenMs) < USE_INTERVAL_MS) return;
    entry.writtenMs = nowMs;
    const { id } = entry.key;
    storage
      .put(PREFIX + id, entry.key)
      .then(async () => {
        // It may have been revoked meanwhile; a late write must not bring it back.
        if (this.#byId.get(id) !== entry) await storage.delete(PREFIX + id);
      })
      .catch((error: unknown) => log.warn('the last use of an API key was not written', { error }));
  }
}

function withoutHash({ hash: _hash, ...key }: StoredKey): ApiKey {
  return key;
}
