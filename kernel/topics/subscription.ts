import { setMaxListeners } from 'node:events';
import type { EventMessage } from '../../sdk/index.ts';
import type { EventGate } from './event-gate.ts';

/** Events kept for a subscriber that does not read; then the oldest are dropped. */
export const MAX_EVENTS: number = 1_000;

/** Bytes of payload kept for it, so that large events do not fill the memory. */
export const MAX_BYTES: number = 16 << 20;

/** An event on its way to subscribers. */
export interface Delivery {
  readonly event: Omit<EventMessage, 'dropped'>;
  readonly sizeBytes: number;
}

/** Input of {@link Subscription}. */
export interface SubscriptionOptions {
  readonly signal: AbortSignal;
  /** Events that come while it is closed pass by. */
  readonly gate?: EventGate | undefined;
  /** Told of each event that is dropped. */
  readonly onDrop: (topic: string) => void;
  /** Called once when nobody will read any more. */
  readonly onEnd: (subscription: Subscription) => void;
}

/** New events for one subscriber: a bounded buffer that drops the oldest. It gets events from the moment it is made. */
export class Subscription implements AsyncIterable<EventMessage> {
  readonly #options: SubscriptionOptions;
  readonly #end: () => void;
  #queue: Delivery[] = [];
  #bytes = 0;
  #dropped = 0;
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#end = () => this.end();
    // An instance may have any number of subscriptions.
    setMaxListeners(0, options.signal);
    options.signal.addEventListener('abort', this.#end, { once: true });
    if (options.signal.aborted) this.#isEnded = true;
  }

  offer(delivery: Delivery): void {
    if (this.#isEnded || this.#options.gate?.isClosed === true) return;
    this.#queue.push(delivery);
    this.#bytes += delivery.sizeBytes;
    while (this.#queue.length > MAX_EVENTS || (this.#bytes > MAX_BYTES && this.#queue.length > 1))
      this.#drop();
    this.#wake?.();
  }

  #drop(): void {
    const oldest = this.#queue.shift();
    if (oldest === undefined) return;
    this.#bytes -= oldest.sizeBytes;
    this.#dropped += 1;
    this.#options.onDrop(oldest.event.topic);
  }

  /** Ends the subscription; what is in the buffer is not delivered any more. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#queue = [];
    this.#options.signal.removeEventListener('abort', this.#end);
    this.#options.onEnd(this);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EventMessage> {
    try {
      while (!this.#isEnded) {
        const next = this.#queue.shift();
        if (next === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          continue;
        }
        this.#bytes -= next.sizeBytes;
        const dropped = this.#dropped;
        this.#dropped = 0;
        yield { ...next.event, dropped };
      }
    } finally {
      this.end();
    }
  }
}
