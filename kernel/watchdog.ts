import { Worker } from 'node:worker_threads';
import type { Counter, Logger } from '../sdk/index.ts';
import { programFile } from '../sdk/package-directory.ts';
import { KERNEL_ID } from './builtin.ts';
import type { EventBus } from './events.ts';
import type { MetricsRegistry } from './metrics.ts';
import type { Blocked, WatcherInput } from './runner/watcher.ts';
import { steadyMs } from './steady-clock.ts';
import type { BoundMethod } from './target.ts';

/** What the watchdog reports to. */
export interface WatchdogParts {
  readonly log: Logger;
  readonly events: EventBus;
  readonly metrics: MetricsRegistry;
  /** Time without a sign of life from which a thread counts as blocked, in milliseconds. */
  readonly blockedMs: number;
}

/** Topic on which the kernel tells that a plugin blocked a thread. */
const BLOCKED_TOPIC = 'kernel.plugin.blocked';

/**
 * Names the plugin that keeps a thread busy: the kernel's own, or that of its worker.
 *
 * @remarks A small thread watches the kernel's, since a blocked thread cannot watch itself. Inline plugins share that
 * thread; the one whose method began last is named. Workers are asked for a sign of life and name themselves.
 */
export class Watchdog {
  readonly #parts: WatchdogParts;
  readonly #seconds: Counter;
  /** How often this thread had a turn, and the number of the inline plugin that began last. */
  readonly #marks: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(8));
  readonly #names: string[] = [KERNEL_ID];
  #watcher: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: WatchdogParts) {
    this.#parts = parts;
    this.#seconds = parts.metrics.kernel.counter({
      name: 'lamella_plugin_blocked_seconds_total',
      help: 'Time for which a plugin kept its thread busy without a pause, by plugin and level of isolation.',
      labels: ['plugin', 'isolation'],
    });
  }

  /** The methods of an inline plugin, marked so that it can be named. */
  marked(plugin: string, methods: ReadonlyMap<string, BoundMethod>): ReadonlyMap<string, BoundMethod> {
    const known = this.#names.indexOf(plugin);
    const number = known === -1 ? this.#names.push(plugin) - 1 : known;
    this.#start();
    const marks = this.#marks;
    return new Map(
      [...methods].map(([path, method]) => {
        const invoke: BoundMethod['invoke'] = (request, call) => {
          marks[1] = number;
          return method.invoke(request, call);
        };
        return [path, { ...method, invoke }];
      }),
    );
  }

  #start(): void {
    const { blockedMs } = this.#parts;
    if (this.#watcher === undefined) {
      const workerData: WatcherInput = { marks: this.#marks, blockedMs };
      const watcher = new Worker(programFile('watcher'), {
        name: 'watchdog',
        workerData,
        execArgv: [],
        env: {},
        resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
      });
      watcher.unref();
      watcher.on('message', ({ number, sinceMs }: Blocked) => {
        this.#report(this.#names[number] ?? KERNEL_ID, 'INLINE', steadyMs() - sinceMs);
      });
      watcher.on('error', (error) => this.#parts.log.warn('the watchdog ended', { error }));
      this.#timer = setInterval(() => Atomics.add(this.#marks, 0, 1), blockedMs / 4).unref();
      this.#watcher = watcher;
    }
    this.#watcher.postMessage([...this.#names]);
  }

  /**
   * Asks a worker for signs of life.
   *
   * @returns a function that ends it.
   */
  watchWorker(plugin: string, ask: () => Promise<unknown>): () => void {
    const { blockedMs } = this.#parts;
    let lastMs = performance.now();
    let askedMs: number | undefined;
    let isLate = false;
    const answered = (): void => {
      const tookMs = askedMs === undefined ? 0 : performance.now() - askedMs;
      askedMs = undefined;
      // An answer that waited for this thread says nothing of the worker.
      if (tookMs >= blockedMs && !isLate) this.#report(plugin, 'WORKER', tookMs);
      isLate = false;
    };
    const timer = setInterval(() => {
      const nowMs = performance.now();
      isLate ||= nowMs - lastMs > blockedMs * 2;
      lastMs = nowMs;
      if (askedMs !== undefined) return;
      askedMs = nowMs;
      // A worker that ends is somebody else's business.
      ask().then(answered, () => undefined);
    }, blockedMs).unref();
    return () => clearInterval(timer);
  }

  #report(plugin: string, isolation: 'INLINE' | 'WORKER', tookMs: number): void {
    const { log, events } = this.#parts;
    const blockedMs = Math.round(tookMs);
    this.#seconds.add(tookMs / 1_000, { plugin, isolation });
    events.publish(BLOCKED_TOPIC, { plugin, isolation, blockedMs }, KERNEL_ID);
    const advice =
      isolation === 'INLINE' ? 'every other call waited; run it at WORKER or PROCESS' : 'its calls waited';
    log.warn('a plugin blocked its thread', { plugin, isolation, blockedMs, advice });
  }

  /** Ends the watching thread. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#watcher?.terminate();
    this.#watcher = undefined;
  }
}
