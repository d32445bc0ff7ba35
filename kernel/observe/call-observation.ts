import type { Instance } from '../loader/instance.ts';

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
}
