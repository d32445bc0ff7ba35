import { Code, isDeclaredError } from '../sdk/index.ts';
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
