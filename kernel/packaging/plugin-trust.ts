import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { readConfig } from '../config.ts';
import { PluginQuarantined } from './errors.ts';
import { Installations } from './installations.ts';
import { OWN_FOLDERS } from './own-plugins.ts';
import { isPackage, readPackage, type SoundPackage } from './package-folder.ts';
import { type Candidate, judge, type Origin, type TrustConfig } from './trust.ts';

/** Folders whose plugins come with Lamella, by their real names. */
const OWN = OWN_FOLDERS.map(realOf);

/** Input of {@link PluginTrust}. */
export interface PluginTrustParts {
  readonly home: string;
  /** Folders that were named when the kernel was started. */
  readonly startFolders: readonly string[];
  /** Runs everything that was not tampered with, whatever `config.json` says. */
  readonly isDevelopment: boolean;
  /** What `config.json` said when the kernel started. */
  readonly configured: TrustConfig;
}

/** Looks at a plugin's files before each start and decides whether it may run. */
export class PluginTrust {
  readonly #parts: PluginTrustParts;
  readonly #installations: Installations;
  readonly #startFolders: ReadonlySet<string>;
  #configured: TrustConfig;
  #reading: Promise<void> | undefined;

  constructor(parts: PluginTrustParts) {
    this.#parts = parts;
    this.#configured = parts.configured;
    this.#installations = new Installations(parts.home);
    this.#startFolders = new Set(parts.startFolders.map((folder) => path.resolve(folder)));
  }

  /** @throws PLUGIN_QUARANTINED says why, and what the operator can do. */
  async admit({ id }: Manifest, directory: string): Promise<void> {
    const origin = await this.#originOf(directory);
    if (origin === 'own') return;
    const candidate = { id, origin, ...(await this.#evidence(id, directory, origin)) };
    const verdict = judge(candidate, await this.#readTrust());
    if (!verdict.isTrusted) {
      throw new PluginQuarantined({ plugin: id, why: verdict.why, repair: verdict.repair });
    }
  }

  /** Read anew each time, so that a change needs no restart. While the file is being edited, what it said before holds. */
  async #readTrust(): Promise<TrustConfig> {
    const { home, isDevelopment } = this.#parts;
    // Plugins that start together share what was read for the first of them.
    this.#reading ??= readConfig(home).then(
      ({ trust }) => {
        this.#configured = trust;
        this.#reading = undefined;
      },
      () => {
        this.#reading = undefined;
      },
    );
    await this.#reading;
    return isDevelopment ? { ...this.#configured, mode: 'development' } : this.#configured;
  }

  /** Real paths are compared: a link in a folder of ours leads to what is not ours. */
  async #originOf(directory: string): Promise<Origin> {
    const real = await realOf(directory);
    const isBelow = async (folder: Promise<string>): Promise<boolean> =>
      real.startsWith((await folder) + path.sep);
    for (const folder of OWN) if (await isBelow(folder)) return 'own';
    if (await isBelow(realOf(this.#installations.root))) return 'installed';
    // By its name first: to look at all folders for each of them takes a minute where there are a thousand.
    if (this.#startFolders.has(path.resolve(directory))) return 'start';
    const started = await Promise.all(this.#parts.startFolders.map(realOf));
    return started.includes(real) ? 'start' : 'loaded';
  }

  async #evidence(
    id: string,
    directory: string,
    origin: Origin,
  ): Promise<Pick<Candidate, 'sound' | 'damage' | 'foreign'>> {
    const foreign = await foreignReason(directory);
    const facts = foreign === undefined ? {} : { foreign };
    if (origin !== 'installed' && !(await isPackage(directory))) return facts;
    try {
      const sound = await readPackage(directory);
      if (origin === 'installed') await this.#checkInstalled(id, sound);
      return { ...facts, sound };
    } catch (error) {
      const problem = isDeclaredError(error) ? error.metadata['problem'] : undefined;
      return { ...facts, damage: problem ?? (error as Error).message };
    }
  }

  /** Whoever may change files may also write fitting digests for them; the lock file knows which ones were installed. */
  async #checkInstalled(id: string, { digest }: SoundPackage): Promise<void> {
    const known = (await this.#installations.list())[id];
    const digests = known === undefined ? [] : [known, ...known.previous].map((version) => version.digest);
    if (!digests.includes(digest)) throw new Error('its content is not what was installed');
  }
}

async function realOf(directory: string): Promise<string> {
  return realpath(directory).catch(() => path.resolve(directory));
}

/** Says who else could have put code into a folder; `undefined` if it is of the user that runs the kernel. */
async function foreignReason(directory: string): Promise<string | undefined> {
  const user = process.getuid?.();
  if (user === undefined) return undefined;
  for (const file of [directory, path.join(directory, 'plugin.json')]) {
    const { uid, mode } = await stat(file);
    if (uid !== user) return `${file} belongs to user ${uid} and the kernel runs as ${user}`;
    if ((mode & 0o002) !== 0) return `${file} can be written by everybody`;
  }
  return undefined;
}
