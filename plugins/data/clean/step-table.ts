import { StepUnknown } from './errors.ts';
import type { CleanStep } from './step.ts';
import { clipRange } from './steps/clip-range.ts';
import { dropDuplicates } from './steps/drop-duplicates.ts';
import { dropMissing } from './steps/drop-missing.ts';
import { filter } from './steps/filter.ts';

/** All steps in the order of their names. */
export const STEPS: readonly CleanStep[] = [clipRange, dropDuplicates, dropMissing, filter];

/** Finds a step. @throws STEP_UNKNOWN */
export function stepNamed(name: string): CleanStep {
  const step = STEPS.find((candidate) => candidate.name === name);
  if (step === undefined) {
    throw new StepUnknown({ step: name.slice(0, 100), known: STEPS.map((known) => known.name).join(', ') });
  }
  return step;
}
