import type { ApiException } from '@kubernetes/client-node';
import { type ErrorType, isDeclaredError } from 'lamella/sdk';
import {
  ClusterConflict,
  ClusterForbidden,
  ClusterKindUnknown,
  ClusterRefused,
  ClusterUnreachable,
} from './errors.ts';

/** What each status of an API server means to who deploys; any other means that the cluster is not well. */
const BY_STATUS: ReadonlyMap<number, ErrorType<'name' | 'problem'>> = new Map([
  [400, ClusterRefused],
  [401, ClusterForbidden],
  [403, ClusterForbidden],
  [409, ClusterConflict],
  [422, ClusterRefused],
]);

/**
 * What the library threw, as an error for callers.
 *
 * @param name - The object it was about.
 * @param apiException - The library's class of answers that are no success.
 */
export function clusterError(error: unknown, name: string, apiException: typeof ApiException): unknown {
  if (isDeclaredError(error)) return error;
  const extras = { cause: error };
  if (error instanceof apiException) {
    if (error.code === 404) return new ClusterKindUnknown({ name }, extras);
    const Known = BY_STATUS.get(error.code);
    return Known === undefined
      ? new ClusterUnreachable({ problem: `it answered ${error.code} to ${name}` }, extras)
      : new Known({ name, problem: statusMessage(error) }, extras);
  }
  return isUnknownKind(error)
    ? new ClusterKindUnknown({ name }, extras)
    : new ClusterUnreachable({ problem: networkProblem(error) }, extras);
}

/** The library has no class for it. */
function isUnknownKind(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Unrecognized API version and kind');
}

/** What the API server says, in its words and not too long. */
function statusMessage({ body, code }: ApiException<unknown>): string {
  try {
    const status: unknown = typeof body === 'string' ? JSON.parse(body) : body;
    if (typeof status === 'object' && status !== null && 'message' in status) {
      return String(status.message).slice(0, 1_000);
    }
  } catch {
    // Not JSON, so not the API server's own words.
  }
  return `status ${code}`;
}

function networkProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^[A-Z_]{1,40}$/.test(code) ? code : 'the connection failed';
}
