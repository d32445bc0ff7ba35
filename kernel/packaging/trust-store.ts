import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { readConfig } from '../config.ts';
import { TrustInvalid } from './errors.ts';
import { replaceFile } from './lock-file.ts';
import { isKeyName, keyName } from './signature.ts';
import type { TrustConfig } from './trust.ts';

const PLUGIN_ID = /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)+$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** List of `trust` that an entry belongs to. */
type ListName = 'keys' | 'ids' | 'digests';

/** What the operator trusts, in `config.json` of a home folder. */
export class TrustStore {
  readonly #home: string;

  constructor(home: string) {
    this.#home = home;
  }

  /** @throws CONFIG_INVALID */
  async read(): Promise<TrustConfig> {
    return (await readConfig(this.#home)).trust;
  }

  /** @returns the entries that were not there yet. @throws CONFIG_INVALID, TRUST_INVALID */
  async add(entries: readonly string[]): Promise<string[]> {
    const trust = await this.read();
    const fresh = [...new Set(entries)].filter((entry) => !trust[listOf(entry)].includes(entry));
    await this.#change(fresh, (list, added) => [...list, ...added]);
    return fresh;
  }

  /** @throws CONFIG_INVALID, TRUST_INVALID when one is not there */
  async remove(entries: readonly string[]): Promise<void> {
    const trust = await this.read();
    const missing = entries.find((entry) => !trust[listOf(entry)].includes(entry));
    if (missing !== undefined) {
      throw new TrustInvalid({
        entry: missing,
        problem: "it is not on the list; 'lamella trust list' shows it",
      });
    }
    await this.#change(entries, (list, removed) => list.filter((entry) => !removed.includes(entry)));
  }

  async #change(
    entries: readonly string[],
    apply: (list: readonly string[], entries: readonly string[]) => string[],
  ): Promise<void> {
    if (entries.length === 0) return;
    const file = path.join(this.#home, 'config.json');
    const config = parse(await readFile(file, 'utf8').catch(() => '{}'));
    const trust = (config['trust'] ?? {}) as Record<string, string[] | undefined>;
    for (const name of ['keys', 'ids', 'digests'] as const) {
      const own = entries.filter((entry) => listOf(entry) === name);
      if (own.length > 0) trust[name] = apply(trust[name] ?? [], own);
    }
    await replaceFile(file, `${JSON.stringify({ ...config, trust }, undefined, 2)}\n`);
  }
}

/**
 * What an operator means: a key, a digest or a plugin's id as it stands, or the file of a public key.
 *
 * @throws TRUST_INVALID, KEY_INVALID
 */
export async function trustEntry(text: string): Promise<string> {
  if (isKeyName(text) || DIGEST.test(text)) return text;
  const pem = await readFile(text, 'utf8').catch(() => undefined);
  if (pem !== undefined) return keyName(pem, text);
  listOf(text);
  return text;
}

function listOf(entry: string): ListName {
  if (isKeyName(entry)) return 'keys';
  if (DIGEST.test(entry)) return 'digests';
  if (PLUGIN_ID.test(entry)) return 'ids';
  throw new TrustInvalid({
    entry,
    problem: "it is no key 'ed25519:…', digest 'sha256:…', plugin id, or file of a public key",
  });
}

function parse(text: string): Record<string, unknown> {
  // The configuration was read and checked just before.
  return JSON.parse(text) as Record<string, unknown>;
}
