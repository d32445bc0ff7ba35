import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Bundle, bundleSource, readBundle, takeBundle } from './bundle.ts';
import { PluginCodeChanged } from './errors.ts';
import { digestProgram } from './program-digest.ts';
import type { Version } from './generation.ts';

/** The code of a version. */
export interface Code {
  /** SHA-256 of the bundle or of the program's files; empty where the kernel sees neither. */
  readonly digest: string;
  /** Set for plugins in TypeScript. */
  readonly bundle: Bundle | undefined;
}

/**
 * Keeps a copy of the code that is in service, named by its content: a version that is started again is the one that
 * ran before, whatever has been saved in its folder since.
 *
 * @remarks Only bundles are copied. A program may be of any size and needs what lies around it, so that its files are
 * compared instead.
 */
export class CodeStore {
  readonly #root: string;
  /** What was kept last of each plugin: it is about to start, and nobody names it yet. */
  readonly #newest: Map<string, string> = new Map();

  /** @param root - Folder for the copies; made when it is needed. */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * The code of a version: what its folder holds now, or exactly what its digest names.
   *
   * @throws PLUGIN_CODE_CHANGED, PLUGIN_START_FAILED with the compiler's messages.
   */
  async read(version: Version): Promise<Code> {
    const { manifest, digest } = version;
    const kept = digest === undefined ? undefined : await this.#kept(version, digest);
    const code = kept ?? (await readFolder(version));
    if (digest !== undefined && code.digest !== digest) {
      throw new PluginCodeChanged({
        plugin: manifest.id,
        version: manifest.version,
        directory: version.directory,
      });
    }
    if (kept === undefined && code.bundle !== undefined) await this.#keep(manifest.id, code.bundle);
    return code;
  }

  /** Removes the copies of a plugin but those named and the one that was kept last. */
  async prune(pluginId: string, digests: ReadonlySet<string>): Promise<void> {
    const folder = path.join(this.#root, pluginId);
    const names = await readdir(folder).catch(() => []);
    const newest = this.#newest.get(pluginId);
    const old = names.filter((name) => {
      const [digest = ''] = name.split('.');
      return digest !== newest && !digests.has(digest);
    });
    await Promise.all(old.map((name) => rm(path.join(folder, name), { force: true })));
  }

  /** Removes all copies of a plugin. */
  async forget(pluginId: string): Promise<void> {
    this.#newest.delete(pluginId);
    await this.prune(pluginId, new Set());
  }

  async #kept({ manifest, directory }: Version, digest: string): Promise<Code | undefined> {
    if (manifest.entry?.module === undefined || manifest.entry.module === '') return undefined;
    const file = this.#file(manifest.id, digest);
    const bundle = await takeBundle(bundleSource(manifest, directory), file).catch(() => undefined);
    // A copy that a power cut left half written is worth nothing.
    return bundle?.digest === digest ? { digest, bundle } : undefined;
  }

  async #keep(pluginId: string, { code, digest }: Bundle): Promise<void> {
    this.#newest.set(pluginId, digest);
    const file = this.#file(pluginId, digest);
    const known = await readFile(file, 'utf8').catch(() => undefined);
    if (known === code) return;
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    // The same code may be kept twice at once, by a check and a start.
    const partial = `${file}.${randomUUID()}.partial`;
    await writeFile(partial, code, { mode: 0o600 });
    await rename(partial, file);
  }

  #file(pluginId: string, digest: string): string {
    return path.join(this.#root, pluginId, digest + ENDING);
  }
}

const ENDING = '.cjs';

/** What the folder of a version holds now. @throws PLUGIN_START_FAILED with the compiler's messages. */
export async function readFolder({ manifest, directory }: Version): Promise<Code> {
  const { module = '', command = [] } = manifest.entry ?? {};
  if (module !== '') {
    const bundle = await readBundle(bundleSource(manifest, directory));
    return { digest: bundle.digest, bundle };
  }
  if (command.length === 0) return { digest: '', bundle: undefined };
  return { digest: await digestProgram(manifest, directory), bundle: undefined };
}
