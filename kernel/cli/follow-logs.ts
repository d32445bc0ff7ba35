import { setTimeout as wait } from 'node:timers/promises';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { LogEntry } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { errorText } from './error-text.ts';
import type { Terminal } from './terminal.ts';

/** Pause before the kernel is looked for again, in milliseconds. */
const RETRY_MS = 500;

/** Lines from before that are asked for after a gap: as many as one call gives. */
const LINES_AFTER_GAP = 1_000;

/** What {@link followLogs} works on. */
export interface FollowParts {
  /** Finds the kernel and streams its lines until the stream ends or fails. */
  readonly tail: (lines: number, show: (entry: LogEntry) => void) => Promise<void>;
  readonly show: (entry: LogEntry) => void;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/**
 * Goes on with new lines while the kernel is stopped and started again.
 *
 * @throws what the first look fails with: then there was nothing to follow.
 */
export async function followLogs(
  lines: number,
  { tail, show, terminal, signal }: FollowParts,
): Promise<void> {
  const seen = new SeenLines();
  let isFollowing = false;
  let told = '';
  const take = (entry: LogEntry): void => {
    isFollowing = true;
    told = '';
    if (seen.add(entry)) show(entry);
  };
  while (!signal.aborted) {
    try {
      await tail(isFollowing ? LINES_AFTER_GAP : lines, take);
      isFollowing = true;
    } catch (error) {
      if (signal.aborted) return;
      if (!isFollowing) throw error;
      const text = errorText(error);
      if (told === '') terminal.err(`${text}\nwaiting for the kernel; lines go on when it is back`);
      told = text;
    }
    await wait(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Lines that were shown, so that none is shown again after a gap. */
class SeenLines {
  #lastMs = 0;
  #atLastMs: Set<string> = new Set();

  /** False for a line that was added before. */
  add({ time, pluginId, message }: LogEntry): boolean {
    const timeMs = time === undefined ? 0 : timestampMs(time);
    if (timeMs < this.#lastMs) return false;
    if (timeMs > this.#lastMs) this.#atLastMs = new Set();
    this.#lastMs = timeMs;
    const text = `${pluginId} ${message}`;
    const isNew = !this.#atLastMs.has(text);
    this.#atLastMs.add(text);
    return isNew;
  }
}
