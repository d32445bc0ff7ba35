import type { ModelConfig } from 'lamella/proto/inference/model_config';
import { elementsOf, type OrtTensors } from 'lamella/sdk/ort';
import { ModelLoadFailed, RequestInvalid, RequestTooCostly } from './errors.ts';
import type { RequestParameters } from './infer-call.ts';
import { fieldsOf } from './json-parameter.ts';

/** What requests cost, and how much one run may. */
export interface BatchCost {
  /** Cost of a run at the most. */
  readonly limit: number;
  /** Input whose elements are the cost; one for each element. */
  readonly input?: string;
  /** Parameter of a request that says what it costs. */
  readonly parameter?: string;
}

/** Name of the parameter in a model's configuration. */
const PARAMETER = 'max_batch_cost';

/**
 * Reads the parameter `max_batch_cost`, which Triton does not have: `{"limit": 8192, "input": "ids"}` or
 * `{"limit": 8192, "parameter": "tokens"}`.
 *
 * @throws MODEL_LOAD_FAILED
 */
export function readBatchCost(config: ModelConfig): BatchCost | undefined {
  const text = config.parameters[PARAMETER]?.stringValue ?? '';
  if (text === '') return undefined;
  const fail = (problem: string): Error =>
    new ModelLoadFailed({ model: config.name, problem: `parameter '${PARAMETER}' ${problem}` });
  if (config.schedulingChoice.case !== 'dynamicBatching') throw fail('needs a model with dynamic_batching');
  const { limit, input, parameter, ...rest } = fieldsOf(text, fail);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw fail(`knows limit, input and parameter, not '${unknown}'`);
  if (!isCost(limit)) throw fail('needs a limit that is a whole number from 1');
  return { limit, ...sourceOf(config, { input, parameter }, fail) };
}

/** What says how much a request costs: either an input or a parameter. */
function sourceOf(
  config: ModelConfig,
  { input, parameter }: { readonly input: unknown; readonly parameter: unknown },
  fail: (problem: string) => Error,
): Pick<BatchCost, 'input' | 'parameter'> {
  if ((input === undefined) === (parameter === undefined))
    throw fail("needs either 'input' or 'parameter', which say what a request costs");
  if (input === undefined) {
    if (typeof parameter === 'string' && parameter !== '') return { parameter };
    throw fail('needs the name of a parameter of requests');
  }
  const names = config.input.map(({ name }) => name);
  if (typeof input === 'string' && names.includes(input)) return { input };
  throw fail(`names no input of the model; it has ${names.join(', ')}`);
}

/**
 * What a request costs.
 *
 * @param tensors - Inputs as they are run: what is padded costs as well.
 * @throws REQUEST_TOO_COSTLY for one that no run may take, REQUEST_INVALID without the parameter that says it
 */
export function costOf(
  cost: BatchCost,
  request: {
    readonly model: string;
    readonly tensors: OrtTensors;
    readonly parameters: RequestParameters | undefined;
  },
): number {
  const { limit, input, parameter = '' } = cost;
  const { model, tensors, parameters } = request;
  const given = parameters?.[parameter];
  const own = typeof given === 'bigint' ? Number(given) : given;
  const value = input === undefined ? own : elementsOf(tensors[input]?.dims ?? []);
  if (input === undefined && !isCost(value)) {
    const problem = `parameter '${parameter}' must say what the request costs '${model}': a whole number from 1`;
    throw new RequestInvalid({ problem });
  }
  if (Number(value) <= limit) return Number(value);
  throw new RequestTooCostly({ model, cost: String(value), limit: String(limit) });
}

function isCost(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}
