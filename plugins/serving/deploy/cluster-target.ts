import { setTimeout as delay } from 'node:timers/promises';
import type { CallContext } from 'lamella/sdk';
import { ChangeKind } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { type Cluster, objectName, type ObjectKind } from './cluster.ts';
import type { DeployConfig } from './config.ts';
import { DeploymentTooSlow } from './errors.ts';
import { type Manifest, managedLabels } from './manifest.ts';
import { objectDiff } from './object-diff.ts';
import type { DeploymentPlan, LiveTarget, Place, ResourceChange } from './target.ts';

/** What makes one kind of deployment in a cluster differ from another. */
export interface ClusterShape {
  /** Every kind that any version of the target has made, so that none is left behind. */
  readonly kinds: readonly ObjectKind[];
  /** Objects of a plan in the order in which they are made. */
  readonly manifests: (plan: DeploymentPlan) => Manifest[];
  /** Kind of the object that says when the model answers. */
  readonly awaited: string;
  /** What that object still waits for; `undefined` when the model answers. */
  readonly waitsFor: (object: Manifest) => string | undefined;
}

/** Deployments in a cluster by server-side apply; what a spec no longer has is removed. */
export class ClusterTarget implements LiveTarget {
  readonly #cluster: Cluster;
  readonly #shape: ClusterShape;
  readonly #config: DeployConfig;

  constructor(cluster: Cluster, shape: ClusterShape, config: DeployConfig) {
    this.#cluster = cluster;
    this.#shape = shape;
    this.#config = config;
  }

  async deploy(plan: DeploymentPlan, context: CallContext): Promise<void> {
    const manifests = this.#shape.manifests(plan);
    const isForced = plan.options['force'] === true;
    // All of them first, so that one that is refused leaves nothing half done.
    for (const isDryRun of [true, false]) {
      for (const object of manifests) await this.#cluster.apply(object, { isDryRun, isForced }, context);
    }
    const awaited = manifests.find(({ kind }) => kind === this.#shape.awaited);
    if (awaited !== undefined) await this.#waitFor(awaited, context);
    // Last, since what was there before may still have been in use.
    for (const object of await this.#surplus(manifests, placeOf(plan), context)) {
      await this.#cluster.delete(object, context);
    }
  }

  async undeploy(place: Place, context: CallContext): Promise<void> {
    for (const object of await this.#surplus([], place, context)) await this.#cluster.delete(object, context);
  }

  async diff(plan: DeploymentPlan, context: CallContext): Promise<readonly ResourceChange[]> {
    const manifests = this.#shape.manifests(plan);
    const changes: ResourceChange[] = [];
    for (const object of manifests) changes.push(await this.#changeOf(object, plan, context));
    for (const object of await this.#surplus(manifests, placeOf(plan), context)) {
      changes.push({ resource: objectName(object), kind: ChangeKind.DELETE, fields: [] });
    }
    return changes;
  }

  async #changeOf(object: Manifest, plan: DeploymentPlan, context: CallContext): Promise<ResourceChange> {
    const resource = objectName(object);
    const isForced = plan.options['force'] === true;
    const before = await this.#cluster.get(object, context);
    const after = await this.#cluster.apply(object, { isDryRun: true, isForced }, context);
    if (before === undefined) return { resource, kind: ChangeKind.CREATE, fields: [] };
    const fields = objectDiff(before, after);
    return { resource, kind: fields.length === 0 ? ChangeKind.NONE : ChangeKind.UPDATE, fields };
  }

  /** Objects that carry the deployment's labels and are not among the wanted ones. */
  async #surplus(wanted: readonly Manifest[], place: Place, context: CallContext): Promise<Manifest[]> {
    const names = new Set(wanted.map(objectName));
    const { name, namespace } = place;
    const surplus: Manifest[] = [];
    for (const kind of this.#shape.kinds) {
      const listed = await this.#cluster.list({ ...kind, namespace, labels: managedLabels(name) }, context);
      surplus.push(...listed.filter((object) => !names.has(objectName(object))));
    }
    return surplus;
  }

  async #waitFor(awaited: Manifest, context: CallContext): Promise<void> {
    const { readyTimeoutMs, pollIntervalMs } = this.#config;
    const endMs = Date.now() + readyTimeoutMs;
    for (;;) {
      const live = await this.#cluster.get(awaited, context);
      const state = live === undefined ? 'it is not there' : this.#shape.waitsFor(live);
      if (state === undefined) return;
      if (Date.now() >= endMs) {
        throw new DeploymentTooSlow({ name: objectName(awaited), timeoutMs: String(readyTimeoutMs), state });
      }
      await delay(pollIntervalMs, undefined, { signal: context.signal });
    }
  }
}

function placeOf({ model, spec }: DeploymentPlan): Place {
  return { model, name: spec.name, namespace: spec.namespace };
}
