/** First pause after a crash, in milliseconds. */
const FIRST_PAUSE_MS = 250;

/** Longest pause, in milliseconds. */
const LONGEST_PAUSE_MS = 30_000;

/** A plugin that was well for this long starts with the first pause again, in milliseconds. */
const RESET_AFTER_MS = 60_000;

/** Crashes within {@link GIVE_UP_WINDOW_MS} after which a plugin is not restarted. */
const GIVE_UP_CRASHES = 5;

/** In milliseconds. */
const GIVE_UP_WINDOW_MS = 5 * 60_000;

/** Share of a pause that chance takes off, so that plugins that fell together do not rise together. */
const JITTER = 0.2;

/**
 * Pause before the next start, in milliseconds: doubled with each crash, up to 30 s.
 *
 * @param crashesMs - Times of all crashes so far, the newest last, in milliseconds.
 * @param random - Number in [0, 1).
 */
export function backoffMs(
  crashesMs: readonly number[],
  nowMs: number,
  random: () => number = Math.random,
): number {
  let inARow = 0;
  let after = nowMs;
  for (const crashMs of crashesMs.toReversed()) {
    if (after - crashMs > RESET_AFTER_MS) break;
    inARow += 1;
    after = crashMs;
  }
  const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.max(0, inARow - 1), LONGEST_PAUSE_MS);
  return pauseMs * (1 - JITTER * random());
}

/** Crashes that still count; older ones change neither the pause nor whether a plugin is given up. */
export function recentCrashes(crashesMs: readonly number[], nowMs: number): number[] {
  return crashesMs.filter((crashMs) => nowMs - crashMs <= GIVE_UP_WINDOW_MS);
}

/** Tells whether a plugin crashed so often that restarting it is no use. */
export function isGivenUp(crashesMs: readonly number[], nowMs: number): boolean {
  return recentCrashes(crashesMs, nowMs).length >= GIVE_UP_CRASHES;
}
