import type { JsonObject } from '@bufbuild/protobuf';
import { stringify } from 'yaml';
import type { DeploymentPlan } from './target.ts';

/** An object of the Kubernetes API. */
export interface Manifest extends JsonObject {
  apiVersion: string;
  kind: string;
  metadata: ManifestMetadata;
}

interface ManifestMetadata extends JsonObject {
  name: string;
  namespace: string;
}

/** Labels by which the pods of a deployment are found; they never change. */
export function selectorLabels(name: string): Record<string, string> {
  return { 'app.kubernetes.io/name': 'lamella', 'app.kubernetes.io/instance': name };
}

/** Who manages an object: what carries this label and a deployment's name may be pruned with it. */
const MANAGED_BY = 'app.kubernetes.io/managed-by';

/** Labels of all that belongs to a deployment and was applied from here. */
export function managedLabels(name: string): Record<string, string> {
  return { ...selectorLabels(name), [MANAGED_BY]: 'lamella' };
}

/** Which object it is. */
export interface ManifestKind {
  readonly apiVersion: string;
  readonly kind: string;
  /** What its name has behind that of the deployment. */
  readonly suffix?: string;
}

/** Begins an object of a plan. */
export function manifest(
  plan: DeploymentPlan,
  { apiVersion, kind, suffix = '' }: ManifestKind,
  body: { readonly [key: string]: JsonObject[string] },
): Manifest {
  const { name, namespace } = plan.spec;
  const labels = {
    ...managedLabels(name),
    'app.kubernetes.io/version': plan.version,
    'app.kubernetes.io/component': 'serving',
  };
  return { apiVersion, kind, metadata: { name: `${name}${suffix}`, namespace, labels }, ...body };
}

/** Name of the file that holds an object. */
export function manifestFile({ kind, metadata }: Manifest, name: string): string {
  const suffix = metadata.name.slice(name.length);
  return `${kind.toLowerCase()}${suffix}.yaml`;
}

/** An object as YAML that people can read and `kubectl apply -f` takes. */
export function manifestText(object: JsonObject): string {
  return stringify(object, { lineWidth: 0, aliasDuplicateObjects: false });
}
