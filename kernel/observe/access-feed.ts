/** One line of the access log, and what those who watch choose by. */
export interface AccessLine {
  /** The instance's plugin, or the one that would have got the call. */
  readonly plugin: string | undefined;
  readonly hasFailed: boolean;
  /** As it stands in the file. */
  readonly json: string;
}

/** What {@link AccessFeed.watch} gives: a line, or nothing at the beginning. */
export interface WatchedLine {
  readonly json: string | undefined;
  /** Lines left out since the one before, because they were not read fast enough. */
  readonly dropped: number;
}

/** What somebody wants to see. */
export interface WatchOptions {
  /** Plugin id; empty means all. */
  readonly plugin: string;
  readonly failedOnly: boolean;
  readonly signal: AbortSignal;
}

/** Lines that wait for one who watches, some 2 MB; a second of a busy kernel. */
const WAITING_LINES = 4_096;

interface Watcher {
  readonly isWanted: (line: AccessLine) => boolean;
  readonly waiting: WatchedLine[];
  dropped: number;
  wake: () => void;
}

/** Shows lines of the access log to those who watch while calls end. A slow watcher loses lines and is told how many. */
export class AccessFeed {
  readonly #watchers: Set<Watcher> = new Set();

  /** Whether a line is worth being made. */
  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  /** Never waits. */
  add(line: AccessLine): void {
    for (const watcher of this.#watchers) {
      if (!watcher.isWanted(line)) continue;
      if (watcher.waiting.length >= WAITING_LINES) {
        watcher.dropped += 1;
        continue;
      }
      watcher.waiting.push({ json: line.json, dropped: watcher.dropped });
      watcher.dropped = 0;
      watcher.wake();
    }
  }

  /** Lines from now on; the first answer has none and says that the others are coming. */
  async *watch({ plugin, failedOnly, signal }: WatchOptions): AsyncGenerator<WatchedLine> {
    const watcher: Watcher = {
      isWanted: (line) => (plugin === '' || line.plugin === plugin) && (line.hasFailed || !failedOnly),
      waiting: [],
      dropped: 0,
      wake: () => undefined,
    };
    const onAbort = (): void => watcher.wake();
    this.#watchers.add(watcher);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      yield { json: undefined, dropped: 0 };
      while (!signal.aborted) {
        const next = watcher.waiting.shift();
        if (next === undefined) await new Promise<void>((resolve) => (watcher.wake = resolve));
        else yield next;
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener('abort', onAbort);
    }
  }
}
