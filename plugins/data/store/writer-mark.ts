/** Who works on something unfinished, and since when; kept with it, so that what a killed process left can be told. */
export interface WriterMark {
  readonly processId: number;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
}

/** A write is given up for lost after this time even if its process seems to live: process ids are used again. */
const ABANDONED_AFTER_MS = 60 * 60 * 1_000;

/** Mark of this process. */
export function writerMark(nowMs: number): WriterMark {
  return { processId: process.pid, timeMs: nowMs };
}

/**
 * Tells whether nobody will finish the work any more.
 *
 * @remarks The old instance may still write while the new one starts (upgrade without pause), so a mark of a living
 * process is respected.
 */
export function isAbandoned({ processId, timeMs }: WriterMark, nowMs: number): boolean {
  return nowMs - timeMs >= ABANDONED_AFTER_MS || !isAlive(processId);
}

function isAlive(processId: number): boolean {
  try {
    // Signal 0 only asks.
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
