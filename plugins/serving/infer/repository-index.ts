import type { CallContext } from 'lamella/sdk';
import { MethodUnsupported } from './errors.ts';
import type { ModelState } from './model-state.ts';
import type { ModelRepository } from './repository.ts';

/** What of the index is wanted. */
export interface IndexRequest {
  /** Name of one repository, which is not supported: all are one here. */
  readonly repositoryName: string;
  /** True for models that answer requests only. */
  readonly ready: boolean;
}

/** All models of the registry and of folders, loaded or not, by name and version. @throws METHOD_UNSUPPORTED */
export async function repositoryIndex(
  repository: ModelRepository,
  { repositoryName, ready }: IndexRequest,
  context?: CallContext,
): Promise<ModelState[]> {
  if (repositoryName !== '') {
    const advice = 'leave repository_name out; the index has the models of all';
    throw new MethodUnsupported({ method: 'An index of one repository', advice });
  }
  const states = [...repository.states()];
  const known = new Set(states.map(({ name }) => name));
  for (const name of ready ? [] : await repository.sources.names(context)) {
    if (!known.has(name)) states.push({ name, version: '', state: 'UNAVAILABLE', reason: 'not loaded' });
  }
  return states
    .filter(({ state }) => !ready || state === 'READY')
    .toSorted(
      (left, right) => compare(left.name, right.name) || Number(left.version) - Number(right.version),
    );
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
