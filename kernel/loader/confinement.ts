import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Logger } from '../../sdk/index.ts';
import { FilesNotHeld } from './errors.ts';
import { filesProblem, type SeeingProgram, withItsFiles } from './program-files.ts';

/** Files and sockets that a plugin process may have open. */
const MAX_OPEN_FILES = 4_096;

/**
 * Closes what a process inherits beside its three standard streams. lmdb opens its file without the flag that would do
 * this, so that every child of the kernel could write into the kernel's own storage.
 */
const CLOSE_FILES = [
  'bash',
  '--norc',
  '--noprofile',
  '-c',
  'for file in /proc/$$/fd/*; do number=${file##*/}; (( number > 2 )) && eval "exec $number>&-"; done; exec "$@"',
  'lamella',
];

/** Longest time to find out what the machine offers, in milliseconds. */
const PROBE_MS = 2_000;

/**
 * What the operating system holds a plugin process to: no inherited files (`bash`), limits on open files and no core dumps (`prlimit`), the cores of
 * its manifest (`taskset`), and a network namespace without any network where the plugin was granted no host (`unshare`).
 *
 * @remarks Each tool becomes the process it starts, so that process id, pipes and group stay the same. What the machine
 * lacks is left out and said once: the rights are then enforced at the host object alone.
 */
export class Confinement {
  readonly #log: Logger;
  #tools: Promise<Tools> | undefined;
  #filesProblem: Promise<string> | undefined;
  #nextCore = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * The command that runs another one confined, and with its own view of files where that is given.
   *
   * @throws FILES_NOT_HELD when the machine does not offer such a view.
   */
  async confine(
    command: readonly string[],
    manifest: Manifest,
    view: SeeingProgram | undefined,
  ): Promise<string[]> {
    this.#tools ??= this.#probe();
    if (view !== undefined) await this.#checkFiles(manifest);
    const { closing, limits, cores, network } = await this.#tools;
    return [
      ...closing,
      ...limits,
      ...(cores ? this.#coresOf(manifest) : []),
      ...((manifest.capabilities?.network ?? []).length === 0 ? network : []),
      ...(view === undefined ? command : withItsFiles(command, view)),
    ];
  }

  async #checkFiles({ id }: Manifest): Promise<void> {
    const why = await (this.#filesProblem ??= filesProblem());
    if (why !== '') throw new FilesNotHeld({ plugin: id, why });
  }

  /** Plugins get their cores in turn, so that those with few do not all share the first. */
  #coresOf({ resources }: Manifest): string[] {
    const wanted = resources?.cores ?? 0;
    const present = availableParallelism();
    if (wanted === 0 || wanted >= present) return [];
    const cores = Array.from({ length: wanted }, (_, index) => (this.#nextCore + index) % present);
    this.#nextCore = (this.#nextCore + wanted) % present;
    return ['taskset', '--cpu-list', cores.join(',')];
  }

  async #probe(): Promise<Tools> {
    const limits = ['prlimit', `--nofile=${MAX_OPEN_FILES}`, '--core=0'];
    // Root makes the namespace itself; others need one of users first, which some machines forbid.
    const network =
      process.getuid?.() === 0 ? ['unshare', '--net'] : ['unshare', '--user', '--map-current-user', '--net'];
    const [closes, hasLimits, cores, hasNetwork] = await Promise.all([
      succeeds([...CLOSE_FILES, 'true']),
      succeeds([...limits, 'true']),
      succeeds(['taskset', '--version']),
      succeeds([...network, 'true']),
    ]);
    if (!closes || !hasLimits || !cores || !hasNetwork) {
      const found = { bash: closes, prlimit: hasLimits, taskset: cores, unshare: hasNetwork };
      this.#log.info('the machine confines plugin processes in part only', found);
    }
    return {
      closing: closes ? CLOSE_FILES : [],
      limits: hasLimits ? limits : [],
      cores,
      network: hasNetwork ? network : [],
    };
  }
}

interface Tools {
  readonly closing: readonly string[];
  readonly limits: readonly string[];
  readonly cores: boolean;
  readonly network: readonly string[];
}

async function succeeds([command = '', ...words]: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(command, words, { timeout: PROBE_MS }, (error) => resolve(error === null));
  });
}
