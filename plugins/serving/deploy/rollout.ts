import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Manifest } from './manifest.ts';

/** What a Deployment waits for until all its pods are those of its newest template; as `kubectl rollout status` counts. */
export function deploymentWaitsFor(object: Manifest): string | undefined {
  if (!isObserved(object)) return 'the cluster has not looked at it';
  const status = objectAt(object['status']);
  const wanted = numberAt(objectAt(object['spec'])['replicas'], 1);
  const updated = numberAt(status['updatedReplicas'], 0);
  const old = numberAt(status['replicas'], 0) - updated;
  const available = numberAt(status['availableReplicas'], 0);
  if (updated < wanted) return `${updated} of ${wanted} pods are new`;
  if (old > 0) return `${old} old pods are ending`;
  return available < updated ? `${available} of ${updated} pods are ready` : undefined;
}

/** What an InferenceService of KServe waits for. */
export function inferenceServiceWaitsFor(object: Manifest): string | undefined {
  if (!isObserved(object)) return 'KServe has not looked at it';
  const conditions = objectAt(object['status'])['conditions'];
  const all = Array.isArray(conditions) ? conditions.map(objectAt) : [];
  const ready = all.find(({ type }) => type === 'Ready') ?? {};
  if (ready['status'] === 'True') return undefined;
  const why = ready['message'] ?? ready['reason'];
  return `not ready: ${typeof why === 'string' ? why.slice(0, 500) : 'no reason given'}`;
}

/** Whether the status is about the spec as it is now. */
function isObserved(object: Manifest): boolean {
  const observed = numberAt(objectAt(object['status'])['observedGeneration'], 0);
  return observed >= numberAt(object.metadata['generation'], 1);
}

function objectAt(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

function numberAt(value: JsonValue | undefined, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}
