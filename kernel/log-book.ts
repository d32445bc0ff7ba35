import type { LogLevel } from './logger.ts';

/** One log line of a plugin, or of the kernel where `plugin` is empty. */
export interface LogLine {
  readonly plugin: string;
  readonly level: Exclude<LogLevel, 'silent'>;
  readonly message: string;
  /** Plain JSON data, redacted. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly timeMs: number;
  /** Lines of this plugin that were dropped since the one before, because they came too fast. */
  readonly dropped: number;
}

/** Lines kept of each plugin: enough to see what led to a crash, a few hundred KiB at most in the ordinary course. */
const KEPT_LINES = 1_000;

/** Characters kept of each plugin's lines together; long lines push out more of the old ones. */
const KEPT_CHARACTERS = 1024 * 1024;

/** Lines that a plugin may write each second, and at once after it was quiet; the rest is dropped and counted. */
const LINES_PER_SECOND = 500;
const LINES_AT_ONCE = 2_000;

/** Lines that wait for one who follows; further ones are dropped, for he does not read. */
const FOLLOWER_LINES = 10_000;

interface Page {
  readonly lines: { readonly line: LogLine; readonly characters: number }[];
  characters: number;
  /** Lines that may be written now. */
  allowance: number;
  refilledMs: number;
  /** Dropped since the last line that was taken. */
  dropped: number;
}

/** What {@link LogBook.tail} gives. */
export interface TailOptions {
  /** Plugins; none means all and the kernel. */
  readonly ids: readonly string[];
  /** Lines from before. */
  readonly lines: number;
  /** Goes on with new lines until the signal. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/**
 * The last log lines of each plugin, and the level of each.
 *
 * @remarks Bounded in lines, characters and rate, so that a plugin that floods its log harms nobody but itself.
 */
export class LogBook {
  readonly #now: () => number;
  readonly #pages: Map<string, Page> = new Map();
  readonly #levels: Map<string, LogLevel> = new Map();
  readonly #followers: Set<(line: LogLine) => void> = new Set();
  readonly #levelWatchers: Map<string, Set<(level: LogLevel) => void>> = new Map();

  /** @param now - Milliseconds since the epoch. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Level of a plugin that an operator chose, if he did. */
  level(plugin: string): LogLevel | undefined {
    return this.#levels.get(plugin);
  }

  /** Changes the level of a plugin, now and for its next instances; `undefined` goes back to the kernel's. */
  setLevel(plugin: string, level: LogLevel | undefined): void {
    if (level === undefined) this.#levels.delete(plugin);
    else this.#levels.set(plugin, level);
    for (const watcher of this.#levelWatchers.get(plugin) ?? []) watcher(level ?? 'info');
  }

  /** Tells about changes of a plugin's level. @returns a function that ends it. */
  watchLevel(plugin: string, watcher: (level: LogLevel) => void): () => void {
    const watchers = this.#levelWatchers.get(plugin) ?? new Set();
    this.#levelWatchers.set(plugin, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#levelWatchers.delete(plugin);
    };
  }

  /** False when a plugin writes too fast and this line is dropped; asked before a line is looked at, to be cheap. */
  admit(plugin: string): boolean {
    const page = this.#page(plugin);
    const nowMs = this.#now();
    const earned = (Math.max(0, nowMs - page.refilledMs) / 1_000) * LINES_PER_SECOND;
    page.allowance = Math.min(LINES_AT_ONCE, page.allowance + earned);
    page.refilledMs = nowMs;
    if (page.allowance < 1) {
      page.dropped += 1;
      return false;
    }
    page.allowance -= 1;
    return true;
  }

  /** Lines dropped since the last one that was taken; the count starts anew. */
  takeDropped(plugin: string): number {
    const page = this.#page(plugin);
    const { dropped } = page;
    page.dropped = 0;
    return dropped;
  }

  /** Keeps a line and shows it to those who follow. */
  add(line: LogLine): void {
    const page = this.#page(line.plugin);
    const characters = line.message.length + JSON.stringify(line.fields).length;
    page.lines.push({ line, characters });
    page.characters += characters;
    while (page.lines.length > KEPT_LINES || (page.characters > KEPT_CHARACTERS && page.lines.length > 1)) {
      page.characters -= page.lines.shift()?.characters ?? 0;
    }
    for (const follower of this.#followers) follower(line);
  }

  /** A plugin is forgotten, and its lines with it. */
  forget(plugin: string): void {
    this.#pages.delete(plugin);
    this.#levels.delete(plugin);
  }

  /** The last lines in the order of their time, then new ones. */
  async *tail({ ids, lines, follow, signal }: TailOptions): AsyncGenerator<LogLine> {
    const wanted = (plugin: string): boolean => ids.length === 0 || ids.includes(plugin);
    const queue = this.#last(wanted, lines);
    if (!follow) {
      yield* queue;
      return;
    }
    let wake: () => void = () => undefined;
    const follower = (line: LogLine): void => {
      if (!wanted(line.plugin) || queue.length >= FOLLOWER_LINES) return;
      queue.push(line);
      wake();
    };
    const onAbort = (): void => wake();
    this.#followers.add(follower);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const next = queue.shift();
        if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else yield next;
      }
    } finally {
      this.#followers.delete(follower);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #last(wanted: (plugin: string) => boolean, count: number): LogLine[] {
    const all = [...this.#pages].filter(([plugin]) => wanted(plugin)).flatMap(([, page]) => page.lines);
    // Sorting keeps the order of lines of one millisecond.
    const sorted = all.map(({ line }) => line).toSorted((a, b) => a.timeMs - b.timeMs);
    return count === 0 ? [] : sorted.slice(-count);
  }

  #page(plugin: string): Page {
    const known = this.#pages.get(plugin);
    if (known !== undefined) return known;
    const page = {
      lines: [],
      characters: 0,
      allowance: LINES_AT_ONCE,
      refilledMs: this.#now(),
      dropped: 0,
    };
    this.#pages.set(plugin, page);
    return page;
  }
}
