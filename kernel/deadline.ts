import { Code } from '../sdk/index.ts';
import type { Call } from './call.ts';
import { StatusError } from './status-error.ts';

/** Longest timer Node can hold, in milliseconds. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

/** Aborts a call when its deadline passes. Clear the timer when the call ends. */
export function deadlineTimer(call: Call): NodeJS.Timeout | undefined {
  const leftMs = call.remainingMs(Date.now());
  if (leftMs === undefined || leftMs > TIMER_LIMIT_MS) return undefined;
  return setTimeout(() => call.abort(DEADLINE_EXCEEDED), leftMs).unref();
}

/** The status of a call that took too long. One for all calls: an error with its stack costs microseconds. */
export const DEADLINE_EXCEEDED: StatusError = new StatusError({
  code: Code.DEADLINE_EXCEEDED,
  message: 'The deadline of the call passed; give it more time or ask for less.',
});
