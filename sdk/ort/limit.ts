import { Cancelled, TimedOut } from './errors.ts';

/** When something under way must be given up, and how. */
export interface Limit {
  /** Cancels. */
  readonly signal: AbortSignal | undefined;
  /** Longest time in milliseconds. */
  readonly timeoutMs: number | undefined;
  /** Ends what is under way, so that its promise settles soon after. */
  readonly stop: () => void;
}

/**
 * Waits for work that may be cancelled or take too long.
 *
 * @throws ORT_CANCELLED or ORT_TIMED_OUT once `stop` was called for that reason, whatever the work then says.
 */
export async function withinLimit<Result>(work: Promise<Result>, limit: Limit): Promise<Result> {
  const { signal, timeoutMs } = limit;
  if (signal === undefined && timeoutMs === undefined) return work;
  let given: Error | undefined;
  const giveUp = (error: Error): void => {
    given ??= error;
    limit.stop();
  };
  const onAbort = (): void => giveUp(new Cancelled({}, { cause: signal?.reason }));
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => giveUp(new TimedOut({ timeoutMs: String(timeoutMs) })), timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    return await work;
  } catch (error) {
    throw given ?? error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
