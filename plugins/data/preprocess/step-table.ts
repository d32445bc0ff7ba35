import { StepUnknown } from './errors.ts';
import type { PreprocessStep } from './step.ts';
import { cast } from './steps/cast.ts';
import { concat } from './steps/concat.ts';
import { impute } from './steps/impute.ts';
import { oneHot } from './steps/one-hot.ts';
import { reshape } from './steps/reshape.ts';
import { scale } from './steps/scale.ts';
import { standardize } from './steps/standardize.ts';

/** All steps in the order of their names. */
export const STEPS: readonly PreprocessStep[] = [cast, concat, impute, oneHot, reshape, scale, standardize];

/** Finds a step. @throws STEP_UNKNOWN */
export function stepNamed(name: string): PreprocessStep {
  const step = STEPS.find((candidate) => candidate.name === name);
  if (step === undefined) {
    throw new StepUnknown({ step: name.slice(0, 100), known: STEPS.map((known) => known.name).join(', ') });
  }
  return step;
}
