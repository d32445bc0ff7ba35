import type { Clock, Counter, EventMessage, Events, Logger, Metrics } from '../sdk/index.ts';
import type { PluginGuard } from './capabilities/guard.ts';
import { KERNEL_ID } from './builtin.ts';
import {
  SubscriptionInvalid,
  TooManySubscribers,
  TopicInvalid,
  TopicNotDurable,
  TopicReserved,
} from './topics/errors.ts';
import type { EventGate } from './topics/event-gate.ts';
import { HeldEvents } from './topics/held-events.ts';
import type { EventJournal } from './topics/journal.ts';
import { type FindMessage, takePayload } from './topics/payload.ts';
import { type Delivery, Subscription } from './topics/subscription.ts';
import {
  coversTopic,
  isTopicName,
  isTopicPattern,
  KERNEL_TOPIC_PREFIX,
  type TopicDeclaration,
  type TopicSettings,
} from './topics/topic.ts';
import type { TopicState } from './topics/topic-state.ts';
import { TopicTable } from './topics/topic-table.ts';

/** Subscriptions served at once. */
const MAX_SUBSCRIBERS = 10_000;

/** What the bus needs once the kernel runs. */
export interface EventBusParts {
  readonly journal: EventJournal;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly findMessage: FindMessage;
  /** What the operator says of topics, by name. */
  readonly settings: Readonly<Record<string, TopicSettings>>;
}

/** What is wanted of a subscription. */
export interface SubscribeOptions {
  readonly signal: AbortSignal;
  /** First number wanted of one durable topic; 0 or absent means new events only. */
  readonly fromSequence?: number;
  /** Plugin that subscribes; it takes over what was held for it. */
  readonly pluginId?: string | undefined;
  /** Closed while whoever subscribed is to get no events; new ones pass it by then, stored ones wait. */
  readonly gate?: EventGate | undefined;
}

/** Who uses the bus. */
export interface BusUser {
  readonly signal: AbortSignal;
  readonly guard: PluginGuard;
  readonly gate: EventGate;
}

/** Topics between the plugins of one kernel and its clients: bounded for those who only listen, stored where declared. */
export class EventBus {
  readonly #clock: Clock;
  /** Names, numbers and declarations. */
  readonly topics: TopicTable = new TopicTable();
  readonly #exact: Map<string, Set<Subscription>> = new Map();
  readonly #patterns: Map<Subscription, readonly string[]> = new Map();
  /** Events for plugins that they start. */
  readonly held: HeldEvents = new HeldEvents((topic) => this.#countDrop(topic));
  #subscribers = 0;
  #parts: EventBusParts | undefined;
  #published: Counter | undefined;
  #droppedCounter: Counter | undefined;
  #droppedCount = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Gives the bus its disk, its metrics and the operator's settings; before that nothing is durable. */
  open(parts: EventBusParts): void {
    this.#parts = parts;
    const { metrics, settings, findMessage } = parts;
    const labels = ['topic'];
    this.#published = metrics.counter({
      name: 'lamella_events_published_total',
      help: 'Events taken, by topic; topics that nobody declared count together.',
      labels,
    });
    this.#droppedCounter = metrics.counter({
      name: 'lamella_events_dropped_total',
      help: 'Events that slow subscribers did not get, by topic.',
      labels,
    });
    this.topics.open(settings, findMessage);
  }

  /** Events dropped so far because subscribers were slow. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** The bus as one plugin sees it; its subscriptions end with the signal. */
  forPlugin(pluginId: string, { signal, guard, gate }: BusUser): Events {
    return {
      publish: async (topic, payload) => {
        guard.require('topics', topic);
        await this.accept(topic, payload, pluginId);
      },
      subscribe: (topic, { fromSequence = 0 } = {}) => {
        guard.require('topics', topic);
        return this.subscribe([topic], { signal, fromSequence, pluginId, gate });
      },
    };
  }

  /** Publishes for the kernel itself, which waits for nothing and cannot do anything about a failure. */
  publish(topic: string, payload: unknown, source: string = KERNEL_ID): void {
    if (this.#passesBy(topic)) return;
    this.accept(topic, payload, source).catch((error: unknown) => {
      this.#parts?.log.warn('an event could not be published', { topic, error });
    });
  }

  /** An event of the kernel that nobody can ever get is numbered and counted: a thousand plugins that start have four each. */
  #passesBy(name: string): boolean {
    if (this.#exact.has(name) || this.#patterns.size > 0 || this.held.isHolding) return false;
    const topic = this.topics.find(name);
    if (topic === undefined || topic.isDurable) return false;
    topic.next();
    this.#published?.add(1, { topic: topic.label });
    return true;
  }

  /**
   * Takes an event: checks it, numbers it, stores it where the topic is durable and gives it to all who listen.
   *
   * @returns its number within the topic.
   * @throws TOPIC_INVALID, TOPIC_RESERVED, TOO_MANY_TOPICS, EVENT_INVALID, EVENT_TOO_LARGE, STORAGE_FAILED
   */
  async accept(name: string, value: unknown, source: string): Promise<number> {
    if (name.startsWith(KERNEL_TOPIC_PREFIX) && source !== KERNEL_ID)
      throw new TopicReserved({ topic: name });
    const topic = this.topics.get(name);
    const { payload, sizeBytes } = takePayload(name, value);
    topic.check(payload);
    const event = { payload, source, timeMs: this.#clock.now() };
    const deliver = (sequence: number): void =>
      this.#deliver(topic, { event: { topic: name, sequence, ...event }, sizeBytes });
    const journal = topic.isDurable ? this.#parts?.journal : undefined;
    let sequence: number;
    if (journal === undefined) {
      sequence = topic.next();
      deliver(sequence);
    } else {
      sequence = await topic.append({ ...event, sizeBytes }, journal, deliver);
    }
    this.#published?.add(1, { topic: topic.label });
    return sequence;
  }

  #deliver(topic: TopicState, delivery: Delivery): void {
    this.held.offer(delivery);
    for (const subscription of this.#exact.get(topic.name) ?? []) subscription.offer(delivery);
    for (const [subscription, patterns] of this.#patterns) {
      if (patterns.some((pattern) => coversTopic(pattern, topic.name))) subscription.offer(delivery);
    }
  }

  /**
   * Subscribes from this moment on; a trailing `*` takes in all topics that begin so.
   *
   * @throws SUBSCRIPTION_INVALID, TOPIC_INVALID, TOO_MANY_SUBSCRIBERS, TOPIC_NOT_DURABLE; SEQUENCE_AHEAD when it is read
   */
  subscribe(topics: readonly string[], options: SubscribeOptions): AsyncIterable<EventMessage> {
    const wrong = topics.find((topic) => !isTopicName(topic) && !isTopicPattern(topic));
    if (wrong !== undefined) throw new TopicInvalid({ topic: wrong.slice(0, 200) });
    const [topic] = topics;
    if (topic === undefined || topics.length > MAX_SUBSCRIBED) {
      throw new SubscriptionInvalid({ problem: `name 1 to ${MAX_SUBSCRIBED} topics` });
    }
    const { fromSequence = 0, pluginId = '' } = options;
    if (fromSequence > 0) {
      const events = this.#follow(topics, fromSequence, options);
      this.held.handOver(pluginId, topics);
      return events;
    }
    if (this.#subscribers >= MAX_SUBSCRIBERS) {
      throw new TooManySubscribers({ limit: String(MAX_SUBSCRIBERS) });
    }
    const subscription = this.#listen(topics, options);
    this.held.handOver(pluginId, topics, subscription);
    return subscription;
  }

  #listen(topics: readonly string[], { signal, gate }: SubscribeOptions): Subscription {
    const patterns = topics.filter((topic) => topic.endsWith('*'));
    const names = topics.filter((name) => !patterns.some((pattern) => coversTopic(pattern, name)));
    const subscription = new Subscription({
      signal,
      gate,
      onDrop: (topic) => this.#countDrop(topic),
      onEnd: () => {
        this.#subscribers -= 1;
        this.#patterns.delete(subscription);
        for (const name of names) this.#leave(name, subscription);
      },
    });
    if (signal.aborted) return subscription;
    this.#subscribers += 1;
    if (patterns.length > 0) this.#patterns.set(subscription, patterns);
    for (const name of names) {
      this.#exact.set(name, (this.#exact.get(name) ?? new Set<Subscription>()).add(subscription));
    }
    return subscription;
  }

  #leave(name: string, subscription: Subscription): void {
    const subscribers = this.#exact.get(name);
    subscribers?.delete(subscription);
    if (subscribers?.size === 0) this.#exact.delete(name);
  }

  #countDrop(name: string): void {
    const topic = this.topics.get(name);
    topic.dropped += 1;
    this.#droppedCount += 1;
    this.#droppedCounter?.add(1, { topic: topic.label });
  }

  #follow(
    topics: readonly string[],
    from: number,
    { signal, gate }: SubscribeOptions,
  ): AsyncIterable<EventMessage> {
    const [name = ''] = topics;
    if (topics.length > 1 || !isTopicName(name)) {
      throw new SubscriptionInvalid({
        problem: 'a sequence number goes with exactly one topic, without `*`',
      });
    }
    if (!Number.isSafeInteger(from))
      throw new SubscriptionInvalid({ problem: 'the sequence number is too large' });
    const topic = this.topics.find(name);
    const journal = this.#parts?.journal;
    if (journal === undefined || topic?.isDurable !== true) throw new TopicNotDurable({ topic: name });
    return this.#replay(topic, from, { journal, signal, gate });
  }

  async *#replay(
    topic: TopicState,
    from: number,
    { journal, signal, gate }: SubscribeOptions & { readonly journal: EventJournal },
  ): AsyncGenerator<EventMessage> {
    await topic.load(journal);
    for await (const event of topic.follow(from, { journal, clock: this.#clock, signal })) {
      await gate?.whenOpen(signal);
      if (signal.aborted) return;
      yield { ...event, topic: topic.name };
    }
  }

  /** All topics with what is known of them. */
  async list(): Promise<TopicReport[]> {
    return Promise.all([...this.topics.all].map((topic) => this.#report(topic)));
  }

  async #report(topic: TopicState): Promise<TopicReport> {
    const { name, declaration, owner, dropped } = topic;
    const journal = topic.isDurable ? this.#parts?.journal : undefined;
    if (journal !== undefined) await topic.load(journal);
    const firstSequence = journal === undefined ? 0 : topic.firstSequence(this.#clock.now(), journal);
    const patterns = [...this.#patterns.values()].flat().filter((pattern) => coversTopic(pattern, name));
    const subscribers = (this.#exact.get(name)?.size ?? 0) + topic.followers + patterns.length;
    return {
      name,
      declaration,
      owner,
      dropped,
      firstSequence,
      lastSequence: topic.lastSequence,
      subscribers,
    };
  }
}

/** What is known of one topic. */
export interface TopicReport {
  readonly name: string;
  readonly declaration: TopicDeclaration | undefined;
  readonly owner: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly subscribers: number;
  readonly dropped: number;
}

/** Topics that one subscription may name. */
const MAX_SUBSCRIBED = 100;
