import type { ModelVersionPolicy } from 'lamella/proto/inference/model_config';
import { ModelLoadFailed } from './errors.ts';

/**
 * Versions that a policy selects, ascending; the newest one without a policy.
 *
 * @throws MODEL_LOAD_FAILED when it selects none, or names one that is not there
 */
export function chosenVersions(
  model: string,
  versions: readonly number[],
  policy: ModelVersionPolicy | undefined,
): readonly number[] {
  const chosen = select(versions, policy);
  const [missing] = chosen.filter((version) => !versions.includes(version));
  if (missing !== undefined) {
    throw new ModelLoadFailed({
      model,
      problem: `its version policy names version ${missing}, which is not there`,
    });
  }
  if (chosen.length > 0) return chosen;
  const problem = `at least one version must be available under the version policy of model '${model}'`;
  throw new ModelLoadFailed({ model, problem });
}

function select(versions: readonly number[], policy: ModelVersionPolicy | undefined): readonly number[] {
  const choice = policy?.policyChoice;
  switch (choice?.case) {
    case 'all':
      return versions;
    case 'specific':
      return [...new Set(choice.value.versions.map(Number))].toSorted((left, right) => left - right);
    default:
      return versions.slice(-Math.max(1, choice?.value?.numVersions ?? 1));
  }
}
