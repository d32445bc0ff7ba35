import type { CallContext } from 'lamella/sdk';
import type { ModelRepository, ModelState } from './repository.ts';

/** All registered and loaded models with their state, by name. */
export async function repositoryIndex(
  repository: ModelRepository,
  readyOnly: boolean,
  context?: CallContext,
): Promise<ModelState[]> {
  const states = new Map(repository.states().map((state) => [state.name, state]));
  const registered = readyOnly ? [] : await repository.registered(context);
  for (const name of registered) {
    if (!states.has(name))
      states.set(name, { name, version: '', state: 'UNAVAILABLE', reason: 'not loaded' });
  }
  return [...states.values()]
    .filter(({ state }) => !readyOnly || state === 'READY')
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}
