import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import type { FetchHandler, Logger } from '../../sdk/index.ts';
import { programFile } from '../../sdk/package-directory.ts';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { PluginExited, PluginStartFailed } from '../errors.ts';
import type { LinkClient } from '../link/link-client.ts';
import type { Code } from './code-store.ts';
import type { Instance, InstanceLoad } from './instance.ts';
import type { Started } from './inline.ts';
import { forwardHttp } from './http-forward.ts';
import { ForwardTarget } from './forward-target.ts';
import { watchHealth } from './health-watch.ts';
import { processBytes, watchMemory } from './memory-watch.ts';
import { forwardLines, inheritedEnvironment, type OutputWatcher } from './plugin-output.ts';
import { waitUntilHealthy } from './readiness.ts';
import { startLimitMs } from './time-limits.ts';

/** Time from SIGTERM to SIGKILL, in milliseconds. */
const KILL_AFTER_MS = 5_000;

/** Input of {@link startProcess}. */
export interface ProcessStart {
  readonly manifest: Manifest;
  readonly directory: string;
  /** Its bundle is built in the kernel: to start a compiler in each process would cost more than all the rest. */
  readonly code: Code;
  /** Socket on which the kernel serves plugin processes. */
  readonly kernelSocket: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly load: InstanceLoad;
  readonly log: Logger;
  /** Puts what the operating system holds the process to in front of its command. */
  readonly confine: (command: readonly string[], socketDirectory: string) => Promise<readonly string[]>;
  /** A program that sees no files but its own and granted ones. */
  readonly isHeldToFiles: boolean;
  /** Flags by which Node holds the plugin to its rights, given the folder of its socket. */
  readonly permissions: (socketDirectory: string) => readonly string[];
  readonly output: OutputWatcher;
  /** Makes the instance's token known before its process starts. */
  readonly register: (token: string) => Registration;
}

/** The kernel's record of a process that may call back. */
export interface Registration {
  /** Descriptors the process announced; read once it is healthy. */
  readonly announced: () => readonly DescService[];
  /** Whether it serves HTTP; known when it is healthy. */
  readonly servesHttp: () => boolean;
  /** Forgets the token. */
  readonly revoke: () => void;
}

/**
 * Starts a plugin in a process of its own and waits until it is healthy.
 *
 * @throws PLUGIN_START_FAILED with the exit status or the time-out; nothing of the process is left then.
 */
export async function startProcess(start: ProcessStart): Promise<Started> {
  const { bundle, digest } = start.code;
  const socketDirectory = await mkdtemp(path.join(tmpdir(), 'lamella-'));
  const socketPath = path.join(socketDirectory, 'plugin.sock');
  const token = randomBytes(32).toString('hex');
  const bundlePath = path.join(socketDirectory, 'plugin.cjs');
  const registration = start.register(token);
  const cleanUp = async (): Promise<void> => {
    registration.revoke();
    await rm(socketDirectory, { recursive: true, force: true });
  };
  const permissions = start.permissions(socketDirectory);
  const endpoint = { socketPath, token, bundlePath, permissions };
  const child = await launch(start, bundle, endpoint).catch(async (error: unknown) => {
    await cleanUp();
    throw error;
  });
  const instance = new ProcessInstance(start, child, { digest, cleanUp });
  try {
    const limitMs = startLimitMs(start.manifest);
    const client = await waitUntilHealthy({
      pluginId: start.manifest.id,
      socketPath,
      limitMs,
      exited: instance.crashed,
    });
    instance.attach(client);
    if (registration.servesHttp()) instance.http = forwardHttp(instance.target);
    return { instance, services: registration.announced() };
  } catch (cause) {
    await instance.stop();
    throw new PluginStartFailed({ plugin: start.manifest.id, cause: (cause as Error).message }, { cause });
  }
}

interface Endpoint {
  readonly socketPath: string;
  readonly token: string;
  /** Where the code is that the kernel has built for its own runner. */
  readonly bundlePath: string;
  /** Flags by which Node holds it to its rights; none for one that is not held so. */
  readonly permissions: readonly string[];
}

function hasCommand({ entry }: Manifest): boolean {
  return entry !== undefined && entry.command.length > 0;
}

function commandOf(manifest: Manifest, permissions: readonly string[]): readonly string[] {
  return hasCommand(manifest) ? (manifest.entry?.command ?? []) : runnerCommand(manifest, permissions);
}

async function launch(
  start: ProcessStart,
  bundle: Code['bundle'],
  endpoint: Endpoint,
): Promise<ChildProcess> {
  if (bundle !== undefined) await writeFile(endpoint.bundlePath, bundle.code, { mode: 0o600 });
  const command = commandOf(start.manifest, endpoint.permissions);
  return spawnPlugin(start, await start.confine(command, path.dirname(endpoint.socketPath)), endpoint);
}

function spawnPlugin(
  start: ProcessStart,
  [command = '', ...args]: readonly string[],
  endpoint: Endpoint,
): ChildProcess {
  const { manifest, directory } = start;
  const environment: NodeJS.ProcessEnv = {
    LAMELLA_PLUGIN_ID: manifest.id,
    LAMELLA_PLUGIN_DIRECTORY: directory,
    LAMELLA_PLUGIN_SOCKET: endpoint.socketPath,
    LAMELLA_PLUGIN_TOKEN: endpoint.token,
    LAMELLA_KERNEL_SOCKET: start.kernelSocket,
    ...(hasCommand(manifest)
      ? // A cache of Python beside its sources would be a file that the package does not have.
        { PYTHONDONTWRITEBYTECODE: '1' }
      : { LAMELLA_PLUGIN_BUNDLE: endpoint.bundlePath }),
    ...inheritedEnvironment(start.environment, manifest.capabilities?.gpu),
    // The folder of everybody is closed to it.
    ...(endpoint.permissions.length === 0 && !start.isHeldToFiles
      ? {}
      : { TMPDIR: path.dirname(endpoint.socketPath) }),
  };
  // stdin stays open as long as the kernel lives: its end tells the plugin to exit, also after kill -9.
  return spawn(command, args, {
    cwd: directory,
    env: environment,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
}

/** TypeScript plugins run in the kernel's own runner. */
function runnerCommand(manifest: Manifest, permissions: readonly string[]): string[] {
  const heapMib = manifest.resources?.memoryMib ?? 0;
  const limits = heapMib > 0 ? [`--max-old-space-size=${heapMib}`] : [];
  return [process.execPath, ...limits, ...permissions, programFile('runner')];
}

interface OwnParts {
  readonly digest: string;
  /** Called when the process is gone. */
  readonly cleanUp: () => Promise<void>;
}

class ProcessInstance implements Instance {
  readonly pluginId: string;
  readonly version: string;
  readonly isolation = 'PROCESS' as const;
  readonly isHeldToFiles: boolean;
  readonly digest: string;
  http: FetchHandler | undefined;
  readonly load: InstanceLoad;
  readonly target: ForwardTarget;
  readonly crashed: Promise<string>;
  readonly #manifest: Manifest;
  readonly #child: ChildProcess;
  readonly #exited: Promise<string>;
  readonly #cleanUp: () => Promise<void>;
  readonly #log: Logger;
  #client: LinkClient | undefined;
  /** Set when the kernel ends the process for what it used. */
  #overLimit: string | undefined;
  #stopping: Promise<void> | undefined;

  constructor(start: ProcessStart, child: ChildProcess, { digest, cleanUp }: OwnParts) {
    this.digest = digest;
    this.isHeldToFiles = start.isHeldToFiles;
    this.#manifest = start.manifest;
    this.pluginId = start.manifest.id;
    this.version = start.manifest.version;
    this.#child = child;
    this.#cleanUp = cleanUp;
    this.load = start.load;
    this.#log = start.log;
    const unwatch = watchMemory({
      limitMib: start.manifest.resources?.memoryMib ?? 0,
      read: async () => (child.pid === undefined ? undefined : processBytes(child.pid)),
      onOver: (how) => {
        this.#overLimit = how;
        signalGroup(child, 'SIGKILL');
      },
    });
    this.#exited = exitOf(child).then((how) => {
      unwatch();
      return this.#overLimit ?? how;
    });
    this.target = new ForwardTarget(this.pluginId);
    this.crashed = this.#exited.then(async (how) => {
      if (this.#stopping !== undefined) return new Promise<string>(() => undefined);
      // The link sees the end of the connection too, but only the exit status tells the caller why.
      this.target.fail(new PluginExited({ plugin: this.pluginId, how }));
      await this.#release();
      return how;
    });
    child.stdin?.on('error', () => undefined);
    const release = forwardLines([child.stderr, child.stdout], start);
    // Our runner reads its level here; a plugin in another language reads stdin to its end and sees a line more.
    const unwatchLevel = start.output.watchLevel((level) =>
      child.stdin?.write(`${JSON.stringify({ logLevel: level })}\n`),
    );
    void this.#exited.then(() => {
      unwatchLevel();
      release();
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  attach(client: LinkClient): void {
    this.#client = client;
    this.target.attach(client);
    watchHealth(client, this.#manifest, this.load.vitals);
    // A process that can no longer be called is as good as gone; its exit then takes the ordinary way.
    void client.closed.then(() => {
      if (this.#stopping === undefined) signalGroup(this.#child, 'SIGKILL');
    });
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#child.stdin?.end();
    signalGroup(this.#child, 'SIGTERM');
    const timer = setTimeout(() => {
      this.#log.warn('the plugin process ignored SIGTERM and is killed', { pid: this.pid });
      signalGroup(this.#child, 'SIGKILL');
    }, KILL_AFTER_MS);
    await this.#exited;
    clearTimeout(timer);
    await this.#release();
  }

  async #release(): Promise<void> {
    // Children that the plugin left behind share its process group.
    signalGroup(this.#child, 'SIGKILL');
    await this.#client?.close();
    await this.#cleanUp();
  }
}

/** How a shell says that there is no such program; plugin processes are started through one. */
const NOT_FOUND = 127;

/** Resolves when the process has ended, or could not be started, with a phrase that says how. */
async function exitOf(child: ChildProcess): Promise<string> {
  return new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) =>
      resolve(
        signal === null
          ? `exit code ${code ?? 'unknown'}${code === NOT_FOUND ? ': its command was not found' : ''}`
          : `signal ${signal}`,
      ),
    );
  });
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // ESRCH: the whole group is gone, which is what the signal was for.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
