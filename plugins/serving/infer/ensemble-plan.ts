import { clone } from '@bufbuild/protobuf';
import {
  type ModelConfig,
  ModelConfigSchema,
  type ModelEnsembling_Step,
  type ModelInput,
  type ModelOutput,
} from 'lamella/proto/inference/model_config';
import { ModelLoadFailed } from './errors.ts';

/** Platform of a graph of models. */
export const ENSEMBLE: string = 'ensemble';

const MOST_STEPS = 256;

/** The steps of an ensemble; none for other models. */
export function ensembleSteps({ schedulingChoice }: ModelConfig): readonly ModelEnsembling_Step[] {
  return schedulingChoice.case === 'ensembleScheduling' ? schedulingChoice.value.step : [];
}

/**
 * Checks that the steps of an ensemble make a graph without circles that gives all its outputs.
 *
 * @returns its configuration with what follows from that.
 * @throws MODEL_LOAD_FAILED
 */
export function completeEnsemble(model: string, given: ModelConfig): ModelConfig {
  const fail = (problem: string): Error => new ModelLoadFailed({ model, problem });
  const steps = ensembleSteps(given);
  if (steps.length === 0 || steps.length > MOST_STEPS)
    throw fail(`ensemble_scheduling needs 1 to ${MOST_STEPS} steps`);
  for (const port of [...given.input, ...given.output]) checkPort(port, fail);
  if (given.input.length === 0 || given.output.length === 0)
    throw fail('an ensemble must name its input and output');
  const made = new Set(given.input.map(({ name }) => name));
  for (const tensor of steps.flatMap(({ outputMap }) => Object.values(outputMap))) {
    if (made.has(tensor)) throw fail(`tensor '${tensor}' of the ensemble is given more than once`);
    made.add(tensor);
  }
  const wanted = [
    ...steps.flatMap(({ inputMap }) => Object.values(inputMap)),
    ...given.output.map(({ name }) => name),
  ];
  const missing = wanted.find((tensor) => !made.has(tensor));
  if (missing !== undefined) throw fail(`no step of the ensemble gives tensor '${missing}'`);
  checkCircles(given, fail);
  const config = clone(ModelConfigSchema, given);
  config.name = model;
  config.platform = ENSEMBLE;
  config.backend = '';
  return config;
}

function checkPort(
  { name, dataType, reshape }: ModelInput | ModelOutput,
  fail: (problem: string) => Error,
): void {
  if (name === '' || dataType === 0) throw fail(`'${name}' of the ensemble needs a name and a data_type`);
  if (reshape !== undefined)
    throw fail(`'${name}' of the ensemble cannot have a reshape; give it to the model of the step`);
}

function checkCircles(config: ModelConfig, fail: (problem: string) => Error): void {
  const known = new Set(config.input.map(({ name }) => name));
  let left = ensembleSteps(config);
  while (left.length > 0) {
    const ready = left.filter(({ inputMap }) => Object.values(inputMap).every((tensor) => known.has(tensor)));
    if (ready.length === 0) {
      const names = left.map(({ modelName }) => modelName).join(', ');
      throw fail(`the steps ${names} of the ensemble wait for each other`);
    }
    for (const { outputMap } of ready) for (const tensor of Object.values(outputMap)) known.add(tensor);
    left = left.filter((step) => !ready.includes(step));
  }
}
