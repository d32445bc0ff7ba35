import { Cancelled, ChildExited, QueueFull, SessionClosed } from './errors.ts';
import { withinLimit } from './limit.ts';
import type { OrtRunOptions, OrtSession, OrtSessionOptions } from './session.ts';
import { OrtSlot } from './ort-slot.ts';
import type { OpenedReply } from './session-options.ts';
import type { OrtPort, OrtTensors } from './tensor.ts';

const DEFAULT_QUEUE_LIMIT = 10_000;
const DEFAULT_OPEN_TIMEOUT_MS = 120_000;

interface Waiting {
  readonly feeds: OrtTensors;
  readonly options: OrtRunOptions;
  readonly resolve: (outputs: Promise<OrtTensors>) => void;
  readonly reject: (error: unknown) => void;
}

/** A session over several child processes; runs wait here and not in a child, so that a child's end fails one run only. */
export class OrtPool implements OrtSession {
  readonly inputs: readonly OrtPort[];
  readonly outputs: readonly OrtPort[];
  readonly #slots: readonly OrtSlot[];
  readonly #queueLimit: number;
  // A set keeps the order of arrival and forgets a cancelled run at once.
  readonly #queue: Set<Waiting> = new Set();
  // Counted, not kept in a set: V8 keeps alive what was in its old tables; see docs/decisions/0014.
  #underWay = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  private constructor(slots: readonly OrtSlot[], opened: OpenedReply, options: OrtSessionOptions) {
    this.#slots = slots;
    this.inputs = opened.inputs;
    this.outputs = opened.outputs;
    this.#queueLimit = options.queueLimit ?? DEFAULT_QUEUE_LIMIT;
  }

  /** Opens all children; when one fails, the others are ended. */
  static async open(options: OrtSessionOptions, signal: AbortSignal | undefined): Promise<OrtPool> {
    if (signal?.aborted === true) throw new Cancelled({}, { cause: signal.reason });
    let pool: OrtPool | undefined;
    const onChange = (): void => {
      if (pool !== undefined) pool.#dispatch();
    };
    const count = Math.max(1, Math.floor(options.instances ?? 1));
    const slots = Array.from({ length: count }, () => new OrtSlot(options, onChange));
    const stop = (): void => slots.forEach((slot) => slot.kill());
    const timeoutMs = options.openTimeoutMs ?? DEFAULT_OPEN_TIMEOUT_MS;
    try {
      const replies = await withinLimit(Promise.all(slots.map((slot) => slot.start())), {
        signal,
        timeoutMs,
        stop,
      });
      pool = new OrtPool(slots, replies[0] ?? { inputs: [], outputs: [] }, options);
      return pool;
    } catch (error) {
      await Promise.all(slots.map((slot) => slot.close()));
      throw error;
    }
  }

  get instances(): number {
    return this.#slots.length;
  }

  get pids(): readonly number[] {
    return this.#slots.map((slot) => slot.pid).filter((pid) => pid !== 0);
  }

  async run(feeds: OrtTensors, options: OrtRunOptions = {}): Promise<OrtTensors> {
    if (this.#closing !== undefined) throw new SessionClosed({});
    if (options.signal?.aborted === true) throw new Cancelled({}, { cause: options.signal.reason });
    const slot = this.#queue.size === 0 ? this.#slots.find((candidate) => candidate.idle) : undefined;
    if (slot !== undefined) return this.#start(slot, feeds, options);
    if (this.#queue.size >= this.#queueLimit) throw new QueueFull({ limit: String(this.#queueLimit) });
    return this.#wait(feeds, options);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    this.#refuseWaiting(new SessionClosed({}));
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  #start(slot: OrtSlot, feeds: OrtTensors, options: OrtRunOptions): Promise<OrtTensors> {
    const { signal, timeoutMs } = options;
    this.#underWay += 1;
    return withinLimit(slot.run(feeds), { signal, timeoutMs, stop: () => slot.kill() }).finally(() => {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#onIdle?.();
    });
  }

  #wait(feeds: OrtTensors, options: OrtRunOptions): Promise<OrtTensors> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const onAbort = (): void => {
        this.#queue.delete(waiting);
        reject(new Cancelled({}, { cause: signal?.reason }));
      };
      const waiting: Waiting = {
        feeds,
        options,
        resolve: (outputs) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(outputs);
        },
        reject,
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.add(waiting);
      this.#refuseWhenDown();
    });
  }

  /** Gives waiting runs to free children; called whenever a child becomes free or fails. */
  #dispatch(): void {
    for (const slot of this.#slots) {
      if (!slot.idle) continue;
      const [next] = this.#queue;
      if (next === undefined) return;
      this.#queue.delete(next);
      next.resolve(this.#start(slot, next.feeds, next.options));
    }
    this.#refuseWhenDown();
  }

  /** When no child can be started, waiting would only hide it. */
  #refuseWhenDown(): void {
    if (this.#slots.every((slot) => slot.failing))
      this.#refuseWaiting(new ChildExited({ how: 'it does not start' }));
  }

  #refuseWaiting(error: Error): void {
    for (const waiting of this.#queue) waiting.reject(error);
    this.#queue.clear();
  }
}
