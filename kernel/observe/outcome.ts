import { Code, type CodeName, codeName, type DeclaredError, isDeclaredError } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import { fromStatus } from '../server/status.ts';
import { StatusError } from '../status-error.ts';

/** Name of the gRPC status that a call ended with; `error` is undefined for one that went well. */
export function statusName(error: unknown): CodeName {
  if (error === undefined) return 'OK';
  if (isDeclaredError(error) || error instanceof StatusError) return codeName(error.code);
  return error instanceof Error && error.name === 'AbortError' ? 'CANCELLED' : 'INTERNAL';
}

/** The error as somebody declared it, here or in another process. */
export function declaredError(error: unknown): DeclaredError | undefined {
  const declared = fromStatus(error);
  return isDeclaredError(declared) ? declared : undefined;
}

/** Who ended a call before it was done: its caller, its deadline, or the kernel, which drains or stops. */
export function cancelledBy(call: Call): 'caller' | 'deadline' | 'kernel' | undefined {
  const reason = call.abortReason;
  if (reason === undefined) return undefined;
  const code = reason instanceof StatusError ? reason.code : undefined;
  if (code === Code.DEADLINE_EXCEEDED) return 'deadline';
  return code === Code.CANCELLED ? 'caller' : 'kernel';
}

/** Seconds since the call arrived. */
export function secondsOf(call: Call): number {
  return Number(process.hrtime.bigint() - call.startedNs) / 1e9;
}
