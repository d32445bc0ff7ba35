import type { ModelConfig } from 'lamella/proto/inference/model_config';
import type { OrtTensors } from 'lamella/sdk/ort';
import { RequestInvalid } from './errors.ts';
import type { RequestParameters } from './infer-call.ts';
import { fieldsOf, isRecord } from './json-parameter.ts';

type Value = boolean | number | string;

/** When a step of an ensemble runs. */
export interface StepCondition {
  /** Tensor of the ensemble whose values are compared; `undefined` for a parameter. */
  readonly tensor: string | undefined;
  /** Parameter of the request that is compared; `undefined` for a tensor. */
  readonly parameter: string | undefined;
  /** How values are compared, and with what. */
  readonly comparison: 'equals' | 'above' | 'below';
  readonly value: Value;
  /** True when one element of the tensor is enough, false when all must fit. */
  readonly isAny: boolean;
  /** True when the step runs where the comparison does not hold. */
  readonly isNegated: boolean;
}

/** Conditions of an ensemble. */
export interface EnsembleConditions {
  /** By number of the step, from 0. */
  readonly steps: ReadonlyMap<number, StepCondition>;
  /** Outputs that an answer may lack. */
  readonly optional: ReadonlySet<string>;
}

/** Name of the parameter in an ensemble's configuration. */
const PARAMETER = 'conditions';
const COMPARISONS = ['equals', 'above', 'below'] as const;
const KEYS: ReadonlySet<string> = new Set(['tensor', 'parameter', 'of', 'not', ...COMPARISONS]);

type JsonObject = Readonly<Record<string, unknown>>;
type Fail = (problem: string) => Error;

/**
 * Reads the parameter `conditions` of an ensemble, which Triton does not have:
 * `{"steps": {"1": {"tensor": "score", "above": 0.5}}, "optional": ["details"]}`.
 *
 * @param fail - Makes the error for what is wrong.
 */
export function readConditions(config: ModelConfig, stepCount: number, fail: Fail): EnsembleConditions {
  const text = config.parameters[PARAMETER]?.stringValue ?? '';
  if (text === '') return { steps: new Map(), optional: new Set() };
  const wrong: Fail = (problem) => fail(`parameter '${PARAMETER}' ${problem}`);
  const { steps = {}, optional = [], ...others } = fieldsOf(text, wrong);
  const [other] = Object.keys(others);
  if (other !== undefined) throw wrong(`has '${other}'; there are 'steps' and 'optional'`);
  if (!isRecord(steps)) throw wrong("needs an object as 'steps', by number of the step from 0");
  const outputs = new Set(config.output.map(({ name }) => name));
  if (!Array.isArray(optional) || !optional.every((name) => outputs.has(name as string)))
    throw wrong("needs a list of outputs as 'optional'");
  const conditions = Object.entries(steps).map(([number, entry]): [number, StepCondition] => {
    const isStep = /^(?:0|[1-9][0-9]{0,2})$/.test(number) && Number(number) < stepCount;
    if (!isStep) throw wrong(`names step '${number}', and the steps are 0 to ${stepCount - 1}`);
    return [Number(number), readCondition(entry, (problem) => wrong(`of step ${number} ${problem}`))];
  });
  return { steps: new Map(conditions), optional: new Set(optional as string[]) };
}

function readCondition(entry: unknown, fail: Fail): StepCondition {
  if (!isRecord(entry)) throw fail('must be an object');
  const other = Object.keys(entry).find((key) => !KEYS.has(key));
  if (other !== undefined) throw fail(`has '${other}'; there are ${[...KEYS].join(', ')}`);
  const { of = 'all', not = false } = entry;
  if ((of !== 'all' && of !== 'any') || typeof not !== 'boolean')
    throw fail("takes 'all' or 'any' as 'of', and true or false as 'not'");
  return { ...readSubject(entry, fail), ...readComparison(entry, fail), isAny: of === 'any', isNegated: not };
}

function readSubject(
  { tensor, parameter }: JsonObject,
  fail: Fail,
): Pick<StepCondition, 'tensor' | 'parameter'> {
  if (typeof tensor === 'string' && parameter === undefined) return { tensor, parameter };
  if (typeof parameter === 'string' && tensor === undefined) return { tensor, parameter };
  throw fail("needs a 'tensor' or a 'parameter'");
}

function readComparison(entry: JsonObject, fail: Fail): Pick<StepCondition, 'comparison' | 'value'> {
  const [comparison, second] = COMPARISONS.filter((name) => entry[name] !== undefined);
  const value = comparison === undefined ? undefined : entry[comparison];
  const kinds = comparison === 'equals' ? ['boolean', 'number', 'string'] : ['number'];
  if (comparison !== undefined && second === undefined && kinds.includes(typeof value))
    return { comparison, value: value as Value };
  throw fail("needs one of 'equals' with a value, 'above' and 'below' with a number");
}

/** True for two conditions of which one holds where the other does not. */
export function excludeEachOther(one: StepCondition | undefined, other: StepCondition | undefined): boolean {
  if (one === undefined || other === undefined || one.isNegated === other.isNegated) return false;
  return JSON.stringify({ ...one, isNegated: false }) === JSON.stringify({ ...other, isNegated: false });
}

/** Tells whether a step runs; its tensor is there. @throws REQUEST_INVALID for values that cannot be compared */
export function holds(
  condition: StepCondition,
  {
    tensors,
    parameters = {},
  }: { readonly tensors: OrtTensors; readonly parameters?: RequestParameters | undefined },
): boolean {
  const { tensor, parameter, isAny, isNegated } = condition;
  const fits = (value: unknown): boolean => compare(condition, value);
  if (parameter !== undefined) {
    return (Object.hasOwn(parameters, parameter) && fits(parameters[parameter])) !== isNegated;
  }
  const values = tensors[tensor ?? ''];
  if (values === undefined || values.type === 'float16') {
    const problem = `tensor '${tensor}' of the ensemble is FP16, which no condition can compare`;
    throw new RequestInvalid({ problem });
  }
  const elements: readonly unknown[] = [...values.data];
  // Without elements nothing holds.
  return (elements.length > 0 && (isAny ? elements.some(fits) : elements.every(fits))) !== isNegated;
}

function compare({ comparison, value }: StepCondition, given: unknown): boolean {
  const plain = typeof given === 'bigint' ? Number(given) : given;
  // A tensor holds truths as 0 and 1.
  if (typeof value === 'boolean') return plain === value || plain === Number(value);
  if (comparison === 'equals') return plain === value;
  if (typeof plain !== 'number' || typeof value !== 'number') return false;
  return comparison === 'above' ? plain > value : plain < value;
}
