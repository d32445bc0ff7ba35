import type { JsonValue } from '@bufbuild/protobuf';
import { SequenceAhead } from './errors.ts';
import type { EventJournal, StoredEvent } from './journal.ts';
import type { PayloadCheck } from './payload.ts';
import type { TopicDeclaration } from './topic.ts';

/** Appended events after which those that are no longer kept are removed from the disk. */
const PRUNE_EVERY = 64;

/** An event that is not numbered yet. */
export interface NewEvent {
  readonly payload: JsonValue;
  readonly sizeBytes: number;
  readonly source: string;
  readonly timeMs: number;
}

/** One topic: its numbering and, when it is durable, its part of the journal. */
export class TopicState {
  readonly name: string;
  declaration: TopicDeclaration | undefined;
  /** Who declared it; empty for a topic that is only used. */
  owner = '';
  check: PayloadCheck = () => undefined;
  dropped = 0;
  #last = 0;
  /** Number of the newest event that subscribers may see. */
  #delivered = 0;
  #first = 1;
  /** Deliveries happen in the order of the numbers, whatever order the disk answers in. */
  #turn: Promise<void> = Promise.resolve();
  #loading: Promise<void> | undefined;
  readonly #followers: Set<() => void> = new Set();

  constructor(name: string) {
    this.name = name;
  }

  /** How metrics name it: topics that nobody declared count together, so that made-up names do not fill them. */
  get label(): string {
    return this.declaration === undefined ? 'undeclared' : this.name;
  }

  get isDurable(): boolean {
    return this.declaration?.isDurable === true;
  }

  get lastSequence(): number {
    return this.#delivered;
  }

  get followers(): number {
    return this.#followers.size;
  }

  /** Numbers an event of a topic that keeps none. */
  next(): number {
    this.#last += 1;
    this.#delivered = this.#last;
    return this.#last;
  }

  /** Oldest number that can be read again; 0 when there is none. */
  firstSequence(nowMs: number, journal: EventJournal): number {
    const [oldest] = this.#read(this.#first, { nowMs, journal });
    return oldest?.sequence ?? 0;
  }

  /** Reads the bounds of what the disk holds, once. @throws STORAGE_FAILED */
  async load(journal: EventJournal): Promise<void> {
    this.#loading ??= this.#load(journal).catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    await this.#loading;
  }

  async #load(journal: EventJournal): Promise<void> {
    const bounds = await journal.bounds(this.name);
    if (bounds === undefined) return;
    this.#first = bounds.first;
    this.#last = Math.max(this.#last, bounds.last);
    this.#delivered = this.#last;
  }

  /**
   * Stores an event; it is on disk, and delivered after all before it, when this resolves.
   *
   * @throws STORAGE_FAILED; its number then stays unused.
   */
  async append(event: NewEvent, journal: EventJournal, deliver: (sequence: number) => void): Promise<number> {
    await this.load(journal);
    this.#last += 1;
    const sequence = this.#last;
    const { payload, source, timeMs, sizeBytes } = event;
    const stored = journal.append(this.name, { sequence, payload, source, timeMs }, sizeBytes);
    const turn = this.#turn.then(() => stored);
    // The failure of one event is told to its publisher and holds up nobody else.
    this.#turn = turn.catch(() => undefined);
    await turn;
    this.#delivered = sequence;
    deliver(sequence);
    for (const wake of this.#followers) wake();
    if (sequence % PRUNE_EVERY === 0) await this.prune(timeMs, journal);
    return sequence;
  }

  /** Removes what is beyond the bounds by count and age, but never the newest event. @throws STORAGE_FAILED */
  async prune(nowMs: number, journal: EventJournal): Promise<void> {
    const oldest = this.firstSequence(nowMs, journal);
    const keepFrom = oldest === 0 ? this.#delivered : oldest;
    if (keepFrom <= this.#first) return;
    this.#first = keepFrom;
    await journal.removeBefore(this.name, keepFrom);
  }

  /** Kept events from a number on, a batch of them. */
  #read(from: number, { nowMs, journal }: { nowMs: number; journal: EventJournal }): StoredEvent[] {
    const { maxEvents = 0, maxAgeMs = 0 } = this.declaration ?? {};
    let next = Math.max(from, this.#first, this.#delivered - maxEvents + 1);
    while (next <= this.#delivered) {
      const batch = journal.read(this.name, next, this.#delivered);
      const kept = batch.filter(({ timeMs }) => timeMs > nowMs - maxAgeMs);
      const last = batch.at(-1);
      if (kept.length > 0 || last === undefined) return kept;
      next = last.sequence + 1;
    }
    return [];
  }

  /**
   * Events from a number on, then those to come, read from the disk as fast as the reader takes them.
   *
   * @throws SEQUENCE_AHEAD
   */
  async *follow(from: number, reader: FollowOptions): AsyncGenerator<StoredEvent & { dropped: number }> {
    const { journal, clock, signal } = reader;
    if (from > this.#delivered + 1) {
      const last = String(this.#delivered);
      throw new SequenceAhead({ topic: this.name, sequence: String(from), last });
    }
    let next = from;
    let wake: (() => void) | undefined;
    const onWake = (): void => wake?.();
    this.#followers.add(onWake);
    signal.addEventListener('abort', onWake, { once: true });
    try {
      while (!signal.aborted) {
        const batch = this.#read(next, { nowMs: clock.now(), journal });
        for (const event of batch) {
          if (signal.aborted) return;
          yield { ...event, dropped: event.sequence - next };
          next = event.sequence + 1;
        }
        if (batch.length > 0) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#followers.delete(onWake);
      signal.removeEventListener('abort', onWake);
    }
  }
}

/** How {@link TopicState.follow} reads. */
export interface FollowOptions {
  readonly journal: EventJournal;
  readonly clock: { now(): number };
  readonly signal: AbortSignal;
}
