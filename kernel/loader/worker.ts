import { randomBytes } from 'node:crypto';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { programFile } from '../../sdk/package-directory.ts';
import { type DeclaredError, type FetchHandler, isDeclaredError, type Logger } from '../../sdk/index.ts';
import { PluginExited, PluginStartFailed } from '../errors.ts';
import { LinkLost } from '../link/errors.ts';
import { PortPeer } from '../port/port-peer.ts';
import type { MetricDeclaration, MetricSample } from '../runner/port-metrics.ts';
import type { StartFailure, WorkerInput } from '../runner/worker.ts';
import { fromStatus } from '../server/status.ts';
import { StatusError } from '../status-error.ts';
import type { Target } from '../target.ts';
import type { Watchdog } from '../watchdog.ts';
import type { Bundle } from './bundle.ts';
import { forwardHttp } from './http-forward.ts';
import { ForwardTarget } from './forward-target.ts';
import { STOP_LIMIT_MS, type Started } from './inline.ts';
import type { Instance, InstanceLoad } from './instance.ts';
import { watchMemory } from './memory-watch.ts';
import { forwardLines, inheritedEnvironment, type OutputWatcher } from './plugin-output.ts';
import type { Registration } from './process.ts';
import { startLimitMs } from './time-limits.ts';
import { WorkerHost, type WorkerHostParts } from './worker-host.ts';

/** Input of {@link startWorker}. */
export interface WorkerStart {
  readonly manifest: Manifest;
  readonly directory: string;
  readonly bundle: Bundle;
  readonly environment: NodeJS.ProcessEnv;
  readonly load: InstanceLoad;
  readonly watchdog: Watchdog;
  readonly log: Logger;
  readonly output: OutputWatcher;
  /** Serves the plugin's own calls: to other plugins and to the kernel. */
  readonly kernel: Target;
  readonly host: WorkerHostParts;
  /** Makes the instance's token known before its worker starts. */
  readonly register: (token: string) => Registration;
}

/**
 * Starts a plugin in a worker thread and waits until it serves.
 *
 * @throws PLUGIN_START_FAILED, or the error that the plugin declared; nothing of the worker is left then.
 */
export async function startWorker(start: WorkerStart): Promise<Started> {
  const token = randomBytes(32).toString('hex');
  const registration = start.register(token);
  const instance = new WorkerInstance(start, token, () => {
    registration.revoke();
    start.host.metrics.close();
  });
  try {
    await instance.ready;
    if (registration.servesHttp()) instance.http = forwardHttp(instance.target);
    return { instance, services: registration.announced() };
  } catch (cause) {
    await instance.stop();
    if (isDeclaredError(cause)) throw cause;
    throw new PluginStartFailed({ plugin: start.manifest.id, cause: (cause as Error).message }, { cause });
  }
}

class WorkerInstance implements Instance {
  readonly pluginId: string;
  readonly version: string;
  readonly isolation = 'WORKER' as const;
  readonly digest: string;
  readonly pid: undefined = undefined;
  http: FetchHandler | undefined;
  readonly load: InstanceLoad;
  readonly target: ForwardTarget;
  readonly crashed: Promise<string>;
  /** Resolves when the plugin serves; rejects when it will not. */
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #peer: PortPeer;
  readonly #host: WorkerHost;
  readonly #log: Logger;
  readonly #exited: Promise<string>;
  readonly #cleanUp: () => void;
  #settleReady: ((error?: Error) => void) | undefined;
  #unwatchBlocks: (() => void) | undefined;
  /** Set when the kernel ends the worker for what it used or sent. */
  #endedFor: string | undefined;
  #stopping: Promise<void> | undefined;

  constructor(start: WorkerStart, token: string, cleanUp: () => void) {
    const { manifest, log, kernel } = start;
    this.pluginId = manifest.id;
    this.version = manifest.version;
    this.digest = start.bundle.digest;
    this.load = start.load;
    this.#log = log;
    this.#cleanUp = cleanUp;
    this.#host = new WorkerHost(start.host);
    const { port1, port2: port } = new MessageChannel();
    this.#worker = createWorker(start, { token, bundle: start.bundle, port });
    const release = forwardLines([this.#worker.stderr, this.#worker.stdout], start);
    const unwatch = start.output.watchLevel((level) => this.#peer.tell('level', level));
    this.#peer = new PortPeer(port1, {
      side: 'kernel',
      target: kernel,
      caller: manifest.id,
      answer: (name, value) => this.#answer(name, value),
      onBroken: (problem) => this.#terminate(`it broke the protocol of its port: ${problem}`),
    });
    this.target = new ForwardTarget(manifest.id);
    this.target.attach(this.#peer);
    const unwatchMemory = watchMemory({
      limitMib: manifest.resources?.memoryMib ?? 0,
      // The limit of the heap does not count buffers.
      read: async () => (await this.#peer.ask('memory', undefined)) as number,
      onOver: (how) => this.#terminate(how),
    });
    this.#exited = exitOf(this.#worker, manifest).then((how) => {
      unwatchMemory();
      unwatch();
      this.#unwatchBlocks?.();
      release();
      return this.#endedFor ?? how;
    });
    this.ready = this.#waitUntilReady(startLimitMs(manifest)).then(() => {
      const ask = (): Promise<unknown> => this.#peer.ask('memory', undefined);
      this.#unwatchBlocks = start.watchdog.watchWorker(manifest.id, ask);
    });
    this.crashed = this.#exited.then(async (how) => {
      this.#settleReady?.(new Error(`its worker ended before it was ready (${how})`));
      this.#release(how);
      if (this.#stopping !== undefined) return new Promise<string>(() => undefined);
      return how;
    });
  }

  #terminate(reason: string): void {
    this.#endedFor ??= reason;
    void this.#worker.terminate();
  }

  async #waitUntilReady(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#settleReady = (error) => (error === undefined ? resolve() : reject(error));
        timer = setTimeout(() => reject(new Error(`it was not ready within ${limitMs} ms`)), limitMs);
      });
    } finally {
      clearTimeout(timer);
      this.#settleReady = undefined;
    }
  }

  #answer(name: string, value: unknown): unknown {
    switch (name) {
      case 'ready':
        return this.#settleReady?.();
      case 'failed':
        return this.#settleReady?.(startError(value as StartFailure));
      case 'metric':
        return this.#host.declare(value as MetricDeclaration);
      case 'samples':
        return this.#host.record(value as MetricSample[]);
      default:
        return this.#host.answer(name, value);
    }
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#peer.ask('stop', undefined).catch(() => undefined);
    const timer = setTimeout(() => {
      this.#log.warn('the worker did not stop when asked and is terminated', { limitMs: STOP_LIMIT_MS });
      // Safe, because plugins with native code are not allowed in workers: one that is in such code would abort us.
      void this.#worker.terminate();
    }, STOP_LIMIT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #release(how: string): void {
    const plugin = this.pluginId;
    // Calls that were in the worker may have had effects; those that come now have not and go to its successor.
    this.target.fail(new PluginExited({ plugin, how }));
    this.#peer.fail(new LinkLost({ address: `the worker of plugin '${plugin}'` }));
    this.#cleanUp();
  }
}

function createWorker({ manifest, environment }: WorkerStart, input: WorkerInput): Worker {
  const heapMib = manifest.resources?.memoryMib ?? 0;
  return new Worker(programFile('worker'), {
    name: manifest.id,
    workerData: input,
    transferList: [input.port],
    env: inheritedEnvironment(environment, manifest.capabilities?.gpu),
    // Not the kernel's: reading source maps is a tenth of a worker's start, and plugins have none.
    execArgv: [],
    stdout: true,
    stderr: true,
    resourceLimits: heapMib > 0 ? { maxOldGenerationSizeMb: heapMib } : {},
  });
}

/** Resolves when the worker has ended, with a phrase that says how. */
async function exitOf(worker: Worker, manifest: Manifest): Promise<string> {
  return new Promise<string>((resolve) => {
    let failure: string | undefined;
    worker.once('error', (error: NodeJS.ErrnoException) => {
      failure =
        error.code === 'ERR_WORKER_OUT_OF_MEMORY'
          ? `out of memory: its heap reached ${manifest.resources?.memoryMib ?? 0} MiB; raise resources.memoryMib or let it hold less`
          : `uncaught ${error.name}: ${error.message}`;
    });
    worker.once('exit', (code) => resolve(failure ?? `exit code ${code}`));
  });
}

function startError({ message, status }: StartFailure): Error {
  const declared = status === undefined ? undefined : fromStatus(new StatusError(status));
  return isDeclaredError(declared) ? (declared satisfies DeclaredError) : new Error(message);
}
