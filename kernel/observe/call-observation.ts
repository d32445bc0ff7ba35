import type { Call } from '../call.ts';
import type { Instance } from '../loader/instance.ts';
import type { CallTrace, Wait } from './call-trace.ts';

/** Messages of one direction of a call; bytes where they exist: an inline plugin gets the objects of its caller. */
export class Traffic {
  messages = 0;
  bytes: number | undefined;

  add(message: unknown): void {
    this.messages += 1;
    if (message instanceof Uint8Array) this.bytes = (this.bytes ?? 0) + message.byteLength;
  }

  /** The one message of a call that has no more; an attempt that is repeated sends it again. */
  only(message: unknown): void {
    this.messages = 0;
    this.bytes = undefined;
    this.add(message);
  }

  async *counted<Item>(messages: AsyncIterable<Item>): AsyncGenerator<Item> {
    for await (const message of messages) {
      this.add(message);
      yield message;
    }
  }
}

/** What is noted of a call on its way, when anybody wants to know. */
export class CallObservation {
  readonly request: Traffic = new Traffic();
  readonly response: Traffic = new Traffic();
  /** The instance that got the call; of several attempts the last. */
  instance: Pick<Instance, 'pluginId' | 'version' | 'isolation'> | undefined;
  readonly trace: CallTrace | undefined;

  constructor(trace?: CallTrace) {
    this.trace = trace;
  }

  /** Begins the call in an instance, see {@link InstanceLoad.enter}. */
  enter(instance: Instance, call: Call): undefined | Promise<void> {
    this.instance = instance;
    const waiting = instance.load.enter(call);
    if (waiting === undefined) this.trace?.enter(instance);
    return waiting === undefined ? undefined : this.#enterLater(instance, waiting);
  }

  async #enterLater(instance: Instance, waiting: Promise<void>): Promise<void> {
    await this.waited('queued', waiting);
    this.trace?.enter(instance);
  }

  /** Measures what a call waits for. */
  async waited<Result>(why: Wait, waiting: Promise<Result>): Promise<Result> {
    if (this.trace === undefined) return waiting;
    const startedMs = performance.now();
    try {
      return await waiting;
    } finally {
      this.trace.waited(why, performance.now() - startedMs);
    }
  }
}
