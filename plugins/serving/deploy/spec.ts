import { create, type JsonObject } from '@bufbuild/protobuf';
import type { FieldViolation } from 'lamella/sdk';
import {
  Accelerator,
  type Compute,
  ComputeSchema,
  type DeploymentSpec,
  DeploymentSpecSchema,
  type Scale,
  ScaleSchema,
} from 'lamella/proto/lamella/serving/v1/deploy_service';
import { SpecInvalid } from './errors.ts';

/** What ONNX Runtime computes on. */
export type AcceleratorName = 'cpu' | 'cuda' | 'tensorrt';

/** A DeploymentSpec with its defaults filled in; every value has been checked. */
export interface Spec {
  /** DNS label, 50 characters at most, so that suffixes fit. */
  readonly name: string;
  readonly namespace: string;
  /** Container image; empty when none was given. */
  readonly image: string;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Requests that wait in a replica, above which there shall be more replicas. */
  readonly queueDepth: number;
  readonly cpuMillis: number;
  readonly memoryMib: number;
  readonly accelerator: AcceleratorName;
  /** 0 without an accelerator. */
  readonly acceleratorCount: number;
  /** Options of serving.infer. */
  readonly inference: JsonObject;
  /** `access` of the node's config.json; `undefined` when none was given. */
  readonly access: JsonObject | undefined;
}

const MOST_JSON_BYTES = 65_536;

const ACCELERATORS: ReadonlyMap<Accelerator, AcceleratorName> = new Map([
  [Accelerator.UNSPECIFIED, 'cpu'],
  [Accelerator.CPU, 'cpu'],
  [Accelerator.CUDA, 'cuda'],
  [Accelerator.TENSORRT, 'tensorrt'],
]);

/** Checks a spec and fills in defaults; names every problem at once. @throws SPEC_INVALID */
export function readSpec(given: DeploymentSpec | undefined, model: string): Spec {
  const message = given ?? create(DeploymentSpecSchema);
  const check = new Check();
  const { inference = {}, access } = message;
  const spec: Spec = {
    name: check.text('name', message.name === '' ? labelOf(model) : message.name, NAME),
    namespace: check.text('namespace', message.namespace === '' ? 'default' : message.namespace, NAMESPACE),
    image: check.text('image', message.image, IMAGE),
    ...readScale(check, message.scale),
    ...readCompute(check, message.compute),
    inference: check.json('inference', inference),
    access: access === undefined ? undefined : check.json('access', access),
  };
  check.end();
  return spec;
}

function readScale(
  check: Check,
  { minReplicas, maxReplicas, queueDepth }: Scale = create(ScaleSchema),
): Pick<Spec, 'minReplicas' | 'maxReplicas' | 'queueDepth'> {
  const least = check.number('scale.min_replicas', minReplicas, REPLICAS);
  const most = { least, most: REPLICAS.most, fallback: Math.max(10, least) };
  return {
    minReplicas: least,
    maxReplicas: check.number('scale.max_replicas', maxReplicas, most),
    queueDepth: check.number('scale.queue_depth', queueDepth, QUEUE),
  };
}

function readCompute(
  check: Check,
  compute: Compute = create(ComputeSchema),
): Pick<Spec, 'cpuMillis' | 'memoryMib' | 'accelerator' | 'acceleratorCount'> {
  const accelerator = check.accelerator(compute.accelerator);
  const count = accelerator === 'cpu' ? NO_ACCELERATOR : SOME_ACCELERATOR;
  return {
    cpuMillis: check.number('compute.cpu_millis', compute.cpuMillis, CPU),
    memoryMib: check.number('compute.memory_mib', compute.memoryMib, MEMORY),
    accelerator,
    acceleratorCount: check.number('compute.accelerator_count', compute.acceleratorCount, count),
  };
}

interface TextForm {
  readonly pattern: RegExp;
  readonly wanted: string;
}

interface NumberForm {
  readonly least: number;
  readonly most: number;
  readonly fallback: number;
}

const NAME: TextForm = {
  pattern: /^[a-z](?:[a-z0-9-]{0,48}[a-z0-9])?$/,
  wanted: 'a letter, then lower-case letters, digits and -, 50 at most',
};
const NAMESPACE: TextForm = {
  pattern: /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
  wanted: 'lower-case letters, digits and -, 63 at most',
};
const IMAGE: TextForm = {
  pattern: /^$|^[a-zA-Z0-9][\w.:/@-]{0,511}$/,
  wanted: 'the name of a container image',
};
const REPLICAS: NumberForm = { least: 1, most: 1_000, fallback: 2 };
const QUEUE: NumberForm = { least: 1, most: 1_000_000, fallback: 16 };
const CPU: NumberForm = { least: 10, most: 1_000_000, fallback: 1_000 };
const MEMORY: NumberForm = { least: 256, most: 16_777_216, fallback: 2_048 };
const NO_ACCELERATOR: NumberForm = { least: 0, most: 0, fallback: 0 };
const SOME_ACCELERATOR: NumberForm = { least: 1, most: 64, fallback: 1 };

/** Collects what is wrong with the fields of one spec. */
class Check {
  readonly #problems: FieldViolation[] = [];

  text(field: string, value: string, { pattern, wanted }: TextForm): string {
    if (!pattern.test(value)) this.#add(field, `must be ${wanted}`);
    return value;
  }

  /** 0 is what a message has where nothing was said. */
  number(field: string, value: number, { least, most, fallback }: NumberForm): number {
    const chosen = value === 0 ? fallback : value;
    if (chosen < least || chosen > most) this.#add(field, `must be ${least} to ${most}`);
    return chosen;
  }

  accelerator(value: Accelerator): AcceleratorName {
    const name = ACCELERATORS.get(value);
    if (name === undefined) this.#add('compute.accelerator', 'must be CPU, CUDA or TENSORRT');
    return name ?? 'cpu';
  }

  json(field: string, value: JsonObject): JsonObject {
    if (JSON.stringify(value).length > MOST_JSON_BYTES) {
      this.#add(field, `must be below ${MOST_JSON_BYTES} bytes of JSON`);
    }
    return value;
  }

  /** @throws SPEC_INVALID */
  end(): void {
    if (this.#problems.length === 0) return;
    const problems = this.#problems.map(({ field, description }) => `${field} ${description}`).join('; ');
    throw new SpecInvalid({ problems }, { violations: this.#problems });
  }

  #add(field: string, description: string): void {
    this.#problems.push({ field, description });
  }
}

/** A model's id as a DNS label: `my.model_2` becomes `my-model-2`. */
function labelOf(model: string): string {
  const label = model
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 48)
    .replaceAll(/^-|-$/g, '');
  return /^[a-z]/.test(label) ? label : `m-${label}`.slice(0, 50);
}
