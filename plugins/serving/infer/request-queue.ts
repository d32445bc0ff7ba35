import { type BatchEntry, EntryList } from './batch-entry.ts';
import { QueueFull, RequestExpired } from './errors.ts';
import type { QueuePolicies, QueuePolicy } from './queue-policy.ts';

interface Level {
  readonly policy: QueuePolicy;
  readonly waiting: EntryList;
  /** Those that waited too long and come after all others of the level. */
  readonly delayed: EntryList;
}

/** What waits for a model: bounded, by priority, and gone at once when nobody waits for it or its time is over. */
export class RequestQueue {
  readonly #model: string;
  readonly #levels: readonly Level[];
  readonly #defaultLevel: number;
  readonly #onLeave: () => void;
  #size = 0;
  #rows = 0;

  /** @param onLeave - Told of a request that left without having run. */
  constructor(model: string, policies: QueuePolicies, onLeave: () => void) {
    this.#model = model;
    this.#defaultLevel = policies.defaultLevel;
    this.#onLeave = onLeave;
    this.#levels = policies.levels.map((policy) => ({
      policy,
      waiting: new EntryList(),
      delayed: new EntryList(),
    }));
  }

  /** Requests that wait. */
  get size(): number {
    return this.#size;
  }

  /** Rows of the requests that wait. */
  get rows(): number {
    return this.#rows;
  }

  /** Puts a request in, or rejects it. @returns false when it is not in */
  push(entry: BatchEntry): boolean {
    const { priority = 0, cancellation } = entry.request;
    const isLevel = priority >= 1 && priority <= this.#levels.length;
    entry.level = isLevel ? priority - 1 : this.#defaultLevel;
    const level = this.#levels[entry.level] as Level;
    if (level.waiting.size + level.delayed.size >= level.policy.limit) {
      const facts = { model: this.#model, limit: String(level.policy.limit) };
      entry.reject(new QueueFull(facts, { retryAfterMs: 100 }));
      return false;
    }
    level.waiting.push(entry);
    this.#size += 1;
    this.#rows += entry.request.rows;
    if (cancellation !== undefined) {
      entry.onCancel = () => this.#drop(entry, entry.request.cancelError());
      cancellation.subscribe(entry.onCancel);
    }
    this.#limitWait(entry, level.policy);
    return entry.list !== undefined;
  }

  /** Takes a request out to run it. */
  take(entry: BatchEntry): void {
    if (entry.list?.remove(entry) !== true) return;
    this.#size -= 1;
    this.#rows -= entry.request.rows;
    entry.stopWatching();
  }

  /** Takes a request out and rejects it. */
  #drop(entry: BatchEntry, error: Error): void {
    if (entry.list === undefined) return;
    this.take(entry);
    entry.reject(error);
    this.#onLeave();
  }

  /** Gives all that wait, in the order in which they are to run, until `visit` says false; it may take the given one. */
  visit(visit: (entry: BatchEntry) => boolean): void {
    for (const { waiting, delayed } of this.#levels) {
      for (const list of [waiting, delayed]) {
        let entry = list.first;
        while (entry !== undefined) {
          const { after } = entry;
          if (!visit(entry)) return;
          entry = after;
        }
      }
    }
  }

  #limitWait(entry: BatchEntry, policy: QueuePolicy): void {
    const own = policy.mayOverride ? (entry.request.timeoutMs ?? 0) : 0;
    const timeoutMs = own > 0 && (policy.timeoutMs === 0 || own < policy.timeoutMs) ? own : policy.timeoutMs;
    if (timeoutMs === 0 || entry.list === undefined) return;
    entry.timer = setTimeout(() => {
      if (policy.isDelayed) this.#delay(entry);
      else this.#drop(entry, new RequestExpired({ model: this.#model }));
    }, timeoutMs);
  }

  #delay(entry: BatchEntry): void {
    const level = this.#levels[entry.level];
    if (level?.waiting.remove(entry) === true) level.delayed.push(entry);
  }
}
