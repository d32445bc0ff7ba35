import { clone } from '@bufbuild/protobuf';
import {
  type ModelConfig,
  ModelConfigSchema,
  type ModelEnsembling_Step,
  type ModelInput,
  type ModelOutput,
} from 'lamella/proto/inference/model_config';
import { excludeEachOther, readConditions, type StepCondition } from './ensemble-conditions.ts';
import { ModelLoadFailed } from './errors.ts';

/** Platform of a graph of models. */
export const ENSEMBLE: string = 'ensemble';

const MOST_STEPS = 256;

/** The steps of an ensemble; none for other models. */
export function ensembleSteps({ schedulingChoice }: ModelConfig): readonly ModelEnsembling_Step[] {
  return schedulingChoice.case === 'ensembleScheduling' ? schedulingChoice.value.step : [];
}

/** A step as it is run. */
export interface PlannedStep {
  /** What the configuration says. */
  readonly step: ModelEnsembling_Step;
  /** When it runs; `undefined` for always. */
  readonly condition: StepCondition | undefined;
  /** Tensors of the ensemble that it waits for. */
  readonly needs: readonly string[];
  /** Tensors of the ensemble that it gives. */
  readonly gives: readonly string[];
}

/** The steps of an ensemble that was checked. */
export function planSteps(config: ModelConfig): readonly PlannedStep[] {
  const steps = ensembleSteps(config);
  const conditions = readConditions(config, steps.length, (problem) => failed(config.name, problem));
  return steps.map((step, number) => {
    const condition = conditions.steps.get(number);
    const needs = new Set(Object.values(step.inputMap));
    if (condition?.tensor !== undefined) needs.add(condition.tensor);
    return { step, condition, needs: [...needs], gives: Object.values(step.outputMap) };
  });
}

type Fail = (problem: string) => Error;

/**
 * Checks that the steps of an ensemble make a graph without circles that gives all its outputs, whatever the conditions.
 *
 * @returns its configuration with what follows from that.
 * @throws MODEL_LOAD_FAILED
 */
export function completeEnsemble(model: string, given: ModelConfig): ModelConfig {
  const fail: Fail = (problem) => failed(model, problem);
  const count = ensembleSteps(given).length;
  if (count === 0 || count > MOST_STEPS) throw fail(`ensemble_scheduling needs 1 to ${MOST_STEPS} steps`);
  for (const port of [...given.input, ...given.output]) checkPort(port, fail);
  if (given.input.length === 0 || given.output.length === 0)
    throw fail('an ensemble must name its input and output');
  const config = clone(ModelConfigSchema, given);
  config.name = model;
  config.platform = ENSEMBLE;
  config.backend = '';
  const steps = planSteps(config);
  checkGiven(config, steps, fail);
  const always = checkOrder(config, steps, fail);
  const { optional } = readConditions(config, count, fail);
  const lacking = config.output.find(({ name }) => !always.has(name) && !optional.has(name));
  if (lacking === undefined) return config;
  throw fail(
    `output '${lacking.name}' is not given where a condition does not hold; give it by a step with the opposite condition, or ` +
      "name it under 'optional' of the parameter 'conditions'",
  );
}

function failed(model: string, problem: string): Error {
  return new ModelLoadFailed({ model, problem });
}

function checkPort({ name, dataType, reshape }: ModelInput | ModelOutput, fail: Fail): void {
  if (name === '' || dataType === 0) throw fail(`'${name}' of the ensemble needs a name and a data_type`);
  if (reshape !== undefined)
    throw fail(`'${name}' of the ensemble cannot have a reshape; give it to the model of the step`);
}

/** Every tensor comes from somewhere, and from one place, or from two of which one runs. */
function checkGiven(config: ModelConfig, steps: readonly PlannedStep[], fail: Fail): void {
  const inputs = new Set(config.input.map(({ name }) => name));
  const givers = new Map<string, PlannedStep[]>();
  for (const step of steps) {
    for (const tensor of step.gives) givers.set(tensor, [...(givers.get(tensor) ?? []), step]);
  }
  for (const [tensor, ofTensor] of givers) {
    if (inputs.has(tensor) || !isOneOf(ofTensor))
      throw fail(`tensor '${tensor}' of the ensemble is given more than once`);
  }
  const wanted = [...steps.flatMap(({ needs }) => needs), ...config.output.map(({ name }) => name)];
  const missing = wanted.find((tensor) => !inputs.has(tensor) && !givers.has(tensor));
  if (missing !== undefined) throw fail(`no step of the ensemble gives tensor '${missing}'`);
}

/** True for one step, or for two of which one runs. */
function isOneOf([one, other, third]: readonly PlannedStep[]): boolean {
  if (other === undefined) return true;
  return third === undefined && excludeEachOther(one?.condition, other.condition);
}

/** Finds circles. @returns the tensors that are there whatever the conditions */
function checkOrder(config: ModelConfig, steps: readonly PlannedStep[], fail: Fail): ReadonlySet<string> {
  const always = new Set(config.input.map(({ name }) => name));
  const settled = new Set(always);
  /** Tensors that one of two steps gives for sure. */
  const halves = new Set<string>();
  let left = steps;
  while (left.length > 0) {
    const ready = left.filter(({ needs }) => needs.every((tensor) => isSettled(tensor, left, settled)));
    if (ready.length === 0) {
      const names = left.map(({ step }) => step.modelName).join(', ');
      throw fail(`the steps ${names} of the ensemble wait for each other`);
    }
    for (const { gives, needs, condition } of ready) {
      const isSure = needs.every((tensor) => always.has(tensor));
      for (const tensor of gives) {
        settled.add(tensor);
        if (isSure && (condition === undefined || halves.has(tensor))) always.add(tensor);
        else if (isSure) halves.add(tensor);
      }
    }
    left = left.filter((step) => !ready.includes(step));
  }
  return always;
}

/** A tensor of two steps is settled when both are. */
function isSettled(tensor: string, left: readonly PlannedStep[], settled: ReadonlySet<string>): boolean {
  return settled.has(tensor) && !left.some(({ gives }) => gives.includes(tensor));
}
