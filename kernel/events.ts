import type { Clock, EventMessage, Events } from '../sdk/index.ts';

/** Messages kept for a subscriber that does not read; then the oldest are dropped. */
const BUFFER_LIMIT = 1_000;

interface Subscriber {
  readonly queue: EventMessage[];
  wake: (() => void) | undefined;
}

/** Topics between the plugins of one kernel: in memory, bounded, oldest dropped first. */
export class EventBus {
  readonly #clock: Clock;
  readonly #topics: Map<string, Set<Subscriber>> = new Map();
  #droppedCount = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Messages dropped so far because subscribers were slow. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** The bus as one plugin sees it; its subscriptions end with the signal. */
  forPlugin(pluginId: string, signal: AbortSignal): Events {
    return {
      publish: (topic, payload) => this.publish(topic, payload, pluginId),
      subscribe: (topic) => this.subscribe(topic, signal),
    };
  }

  publish(topic: string, payload: unknown, source: string): void {
    const message: EventMessage = { topic, payload, source, timeMs: this.#clock.now() };
    for (const subscriber of this.#topics.get(topic) ?? []) {
      if (subscriber.queue.length >= BUFFER_LIMIT) {
        subscriber.queue.shift();
        this.#droppedCount += 1;
      }
      subscriber.queue.push(message);
      subscriber.wake?.();
    }
  }

  async *subscribe(topic: string, signal: AbortSignal): AsyncGenerator<EventMessage> {
    const subscriber: Subscriber = { queue: [], wake: undefined };
    const subscribers = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, subscribers.add(subscriber));
    const wake = (): void => subscriber.wake?.();
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        const next = subscriber.queue.shift();
        if (next === undefined) await nextWake(subscriber);
        else yield next;
      }
    } finally {
      signal.removeEventListener('abort', wake);
      subscribers.delete(subscriber);
      if (subscribers.size === 0) this.#topics.delete(topic);
    }
  }
}

async function nextWake(subscriber: Subscriber): Promise<void> {
  await new Promise<void>((resolve) => {
    subscriber.wake = resolve;
  });
  subscriber.wake = undefined;
}
