import type { Capability } from '../capabilities/capability.ts';
import type { PluginGuard } from '../capabilities/guard.ts';

/** How Node says what it refused. */
interface AccessDenied {
  readonly code: 'ERR_ACCESS_DENIED';
  readonly permission: string;
  readonly resource: string;
}

/** Causes of an error that are looked at. */
const MAX_CAUSES = 5;

/**
 * Turns Node's refusal of a file or a program into the denial of the right to it, which is told to the kernel; any other
 * error stays what it is.
 */
export function explainDenial(error: unknown, guard: PluginGuard): unknown {
  const denied = findDenied(error);
  const right = denied === undefined ? undefined : rightTo(denied);
  if (right === undefined) return error;
  try {
    return guard.deny(...right);
  } catch (refusal) {
    return refusal;
  }
}

function findDenied(error: unknown): AccessDenied | undefined {
  let at = error;
  for (let depth = 0; depth < MAX_CAUSES && at instanceof Error; depth += 1) {
    if (Reflect.get(at, 'code') === 'ERR_ACCESS_DENIED') return at as unknown as AccessDenied;
    at = at.cause;
  }
  return undefined;
}

function rightTo({ permission, resource }: AccessDenied): [Capability, string] | undefined {
  switch (permission) {
    case 'FileSystemRead':
      return ['files', `read ${resource}`];
    case 'FileSystemWrite':
      return ['files', `write ${resource}`];
    case 'ChildProcess':
      return ['processes', 'other programs'];
    default:
      return undefined;
  }
}
