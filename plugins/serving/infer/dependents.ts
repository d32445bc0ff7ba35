import { ensembleSteps } from './ensemble-plan.ts';
import type { LoadedModel } from './loaded-model.ts';

/** Models that the versions of an ensemble need and nothing else that is loaded does; none for other models. */
export function dependentsOf(
  versions: readonly LoadedModel[],
  loaded: readonly LoadedModel[],
): readonly string[] {
  const needed = new Set(
    loaded
      .filter((model) => !versions.includes(model))
      .flatMap(({ config }) => ensembleSteps(config).map(({ modelName }) => modelName)),
  );
  const own = versions.flatMap(({ config }) => ensembleSteps(config).map(({ modelName }) => modelName));
  return [...new Set(own)].filter((name) => !needed.has(name));
}
