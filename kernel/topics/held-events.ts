import { coversTopic } from './topic.ts';
import { MAX_BYTES, MAX_EVENTS, type Delivery, type Subscription } from './subscription.ts';

interface Hold {
  /** Topics that nobody has taken over yet. */
  readonly topics: Set<string>;
  readonly onEvent: () => void;
  readonly queue: Delivery[];
  bytes: number;
}

/**
 * Events that wait for plugins which they start. What is held goes to the plugin's first subscription to the topic,
 * in the same moment in which that gets new ones, so that none is lost and none comes twice.
 *
 * @remarks Bounded as a subscription is, but the newest are dropped: those that woke the plugin are kept.
 */
export class HeldEvents {
  readonly #holds: Map<string, Hold> = new Map();
  readonly #onDrop: (topic: string) => void;

  constructor(onDrop: (topic: string) => void) {
    this.#onDrop = onDrop;
  }

  /** Begins to hold events for a plugin; what was held before is kept. */
  hold(pluginId: string, topics: readonly string[], onEvent: () => void): void {
    const { queue = [], bytes = 0 } = this.#holds.get(pluginId) ?? {};
    this.#holds.set(pluginId, { topics: new Set(topics), onEvent, queue, bytes });
    if (queue.length > 0) onEvent();
  }

  /** Forgets what is held for a plugin. */
  release(pluginId: string): void {
    this.#holds.delete(pluginId);
  }

  /** Whether anything is held for anybody. */
  get isHolding(): boolean {
    return this.#holds.size > 0;
  }

  offer(delivery: Delivery): void {
    const { topic } = delivery.event;
    for (const hold of this.#holds.values()) {
      if ([...hold.topics].some((pattern) => coversTopic(pattern, topic))) this.#keep(hold, delivery);
    }
  }

  #keep(hold: Hold, delivery: Delivery): void {
    const isFull = hold.queue.length >= MAX_EVENTS || hold.bytes + delivery.sizeBytes > MAX_BYTES;
    if (isFull && hold.queue.length > 0) {
      this.#onDrop(delivery.event.topic);
      return;
    }
    hold.queue.push(delivery);
    hold.bytes += delivery.sizeBytes;
    hold.onEvent();
  }

  /**
   * A plugin subscribes: it takes over what is held of these topics.
   *
   * @param subscription - Gets the events; absent for one that reads them from the disk itself.
   */
  handOver(pluginId: string, topics: readonly string[], subscription?: Subscription): void {
    const hold = this.#holds.get(pluginId);
    if (hold === undefined) return;
    const isTaken = (topic: string): boolean => topics.some((pattern) => coversTopic(pattern, topic));
    const held = hold.queue.splice(0);
    hold.bytes = 0;
    for (const delivery of held) {
      if (!isTaken(delivery.event.topic)) {
        hold.queue.push(delivery);
        hold.bytes += delivery.sizeBytes;
      } else subscription?.offer(delivery);
    }
    for (const held of hold.topics) {
      if (isTaken(held) || topics.some((topic) => coversTopic(held, topic))) hold.topics.delete(held);
    }
    if (hold.topics.size === 0 && hold.queue.length === 0) this.release(pluginId);
  }
}
