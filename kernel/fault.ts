import { Code, isDeclaredError } from '../sdk/index.ts';
import { domainOf, KERNEL_DOMAIN } from './kernel-error.ts';
import { fromStatus } from './server/status.ts';
import { StatusError } from './status-error.ts';

/** Codes that say the plugin is at fault, not its caller. */
const FAULT_CODES: ReadonlySet<Code> = new Set<Code>([
  Code.INTERNAL,
  Code.UNKNOWN,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
  Code.DEADLINE_EXCEEDED,
]);

/** Tells whether a call failed by the plugin's fault. What was never declared becomes INTERNAL, so it counts. */
export function isFault(error: unknown): boolean {
  if (error === undefined) return false;
  if (isDeclaredError(error) || error instanceof StatusError) return FAULT_CODES.has(error.code);
  return !(error instanceof Error && error.name === 'AbortError');
}

/**
 * Tells whether a call failed by the fault of one plugin: not when it passes on an error of somebody else, and not when it
 * refuses a call and says when to try again, as one with a full queue does. Otherwise one model that is down, or an hour of
 * overload, would keep all calls away from a plugin that does what it should.
 */
export function isFaultOf(pluginId: string, failure: unknown): boolean {
  if (!isFault(failure)) return false;
  const error = fromStatus(failure);
  if (!isDeclaredError(error)) return true;
  const { domain, code, retryAfterMs } = error;
  if (domain === KERNEL_DOMAIN) return true;
  if (domain !== '' && domain !== domainOf(pluginId)) return false;
  return code !== Code.UNAVAILABLE || retryAfterMs === undefined;
}
