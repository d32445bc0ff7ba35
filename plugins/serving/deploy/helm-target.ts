import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { KUBERNETES_OPTIONS, kubernetesPlan } from './kubernetes-target.ts';
import { type Manifest, manifestFile, manifestText } from './manifest.ts';
import { kubernetesManifests } from './kubernetes-manifests.ts';
import { resources } from './kubernetes-pod.ts';
import { IMAGE_MODELS, nodeConfig } from './node-config.ts';
import type { DeploymentPlan, Target } from './target.ts';

/** A field of a manifest that the chart takes from its values; `*` is every kind. */
interface Template {
  readonly kind: string;
  readonly path: readonly string[];
  /** What stands between the braces. `toJson` makes any value one word of YAML. */
  readonly expression: string;
}

const LABELS = ['metadata', 'labels', 'app.kubernetes.io/managed-by'];
const CONTAINER = ['spec', 'template', 'spec', 'containers', '0'];
const CHECKSUM = ['spec', 'template', 'metadata', 'annotations', 'lamella.io/config-sha256'];
const QUEUE = ['spec', 'metrics', '0', 'pods', 'target', 'averageValue'];

const TEMPLATES: readonly Template[] = [
  { kind: '*', path: ['metadata', 'namespace'], expression: '.Release.Namespace | toJson' },
  { kind: '*', path: LABELS, expression: '.Release.Service | toJson' },
  { kind: 'ConfigMap', path: ['data', 'config.json'], expression: '.Values.config | toJson' },
  { kind: 'Deployment', path: CHECKSUM, expression: '.Values.config | sha256sum | toJson' },
  { kind: 'Deployment', path: [...CONTAINER, 'image'], expression: '.Values.image | toJson' },
  { kind: 'Deployment', path: [...CONTAINER, 'resources'], expression: '.Values.resources | toJson' },
  {
    kind: 'HorizontalPodAutoscaler',
    path: ['spec', 'minReplicas'],
    expression: '.Values.scale.minReplicas | toJson',
  },
  {
    kind: 'HorizontalPodAutoscaler',
    path: ['spec', 'maxReplicas'],
    expression: '.Values.scale.maxReplicas | toJson',
  },
  {
    kind: 'HorizontalPodAutoscaler',
    path: QUEUE,
    expression: '.Values.scale.queueDepth | toString | toJson',
  },
];

/** A chart whose default values give just what target `kubernetes` gives. */
export function helmTarget(): Target {
  return {
    name: 'helm',
    description:
      'A Helm chart of what the target kubernetes makes, with image, scale, resources and config as values',
    options: KUBERNETES_OPTIONS,
    nextStep: 'helm upgrade --install NAME FOLDER --namespace NAMESPACE',
    async *render(plan) {
      const { name } = plan.spec;
      yield { path: 'Chart.yaml', content: manifestText(chart(plan)) };
      yield { path: 'values.yaml', content: manifestText(values(plan)) };
      for (const object of kubernetesManifests(...kubernetesPlan(plan))) {
        yield { path: `templates/${manifestFile(object, name)}`, content: templateText(object) };
      }
    },
  };
}

function chart({ spec, model, version }: DeploymentPlan): JsonObject {
  return {
    apiVersion: 'v2',
    name: spec.name,
    description: `Serves the model ${model} with Lamella`,
    type: 'application',
    version: `${version}.0.0`,
    appVersion: version,
  };
}

function values(plan: DeploymentPlan): JsonObject {
  const { image, minReplicas, maxReplicas, queueDepth } = plan.spec;
  return {
    image,
    scale: { minReplicas, maxReplicas, queueDepth },
    resources: resources(plan.spec),
    config: nodeConfig(plan, { models: IMAGE_MODELS, isMesh: true }),
  };
}

function templateText(object: Manifest): string {
  const copy: JsonObject = structuredClone(object);
  const wanted = TEMPLATES.filter(({ kind }) => kind === '*' || kind === object.kind);
  for (const { path, expression } of wanted) put(copy, path, `@@${expression}@@`);
  // The marks begin with a sign that YAML wants quotes around; the template must not have them.
  return manifestText(copy).replaceAll(/"@@(.+?)@@"/g, '{{ $1 }}');
}

function put(object: JsonObject, path: readonly string[], mark: string): void {
  const [key = '', ...rest] = path;
  if (rest.length === 0) object[key] = mark;
  else put(child(object[key]), rest, mark);
}

/** An element of a list is named by its number, as in an object. */
function child(value: JsonValue | undefined): JsonObject {
  if (typeof value === 'object' && value !== null) return value as JsonObject;
  throw new Error('a manifest lacks a field that the chart makes a value of');
}
