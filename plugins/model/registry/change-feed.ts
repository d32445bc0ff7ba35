import type { Model } from 'lamella/proto/lamella/model/v1/model';
import { WatchTooSlow } from './errors.ts';

/** One change of a model. */
export interface Change {
  readonly model: Model;
  /** Name of the version that came or went; empty when an alias changed. */
  readonly version: string;
  readonly deleted: boolean;
  /** Alias that changed; empty when a version did. */
  readonly alias: string;
}

const MAX_WAITING = 1_000;

interface Watcher {
  readonly waiting: Change[];
  wake: () => void;
}

/** Hands each change to everybody who watches. */
export class ChangeFeed {
  readonly #watchers = new Set<Watcher>();

  /** Tells all watchers. */
  publish(change: Change): void {
    for (const watcher of this.#watchers) {
      if (watcher.waiting.length <= MAX_WAITING) watcher.waiting.push(change);
      watcher.wake();
    }
  }

  /** Changes from now on, until the signal ends it. @throws WATCH_TOO_SLOW if the reader falls 1,000 changes behind. */
  async *watch(signal: AbortSignal): AsyncGenerator<Change> {
    const watcher: Watcher = { waiting: [], wake: () => undefined };
    const onAbort = (): void => watcher.wake();
    this.#watchers.add(watcher);
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        if (watcher.waiting.length > MAX_WAITING) throw new WatchTooSlow({});
        const next = watcher.waiting.shift();
        if (next === undefined) await new Promise<void>((resolve) => (watcher.wake = resolve));
        else yield next;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#watchers.delete(watcher);
    }
  }
}
