import type { CallContext } from 'lamella/sdk';
import type { Manifest } from './manifest.ts';

/** A kind of object of the Kubernetes API. */
export interface ObjectKind {
  readonly apiVersion: string;
  readonly kind: string;
}

/** How an object is applied. */
export interface ApplyOptions {
  /** True to ask what would come of it only. */
  readonly isDryRun: boolean;
  /** True to take over fields that others manage. */
  readonly isForced: boolean;
}

/**
 * The objects of a cluster.
 *
 * @throws CLUSTER_UNREACHABLE, CLUSTER_FORBIDDEN, CLUSTER_CONFLICT, CLUSTER_REFUSED, CLUSTER_KIND_UNKNOWN from every method.
 */
export interface Cluster {
  /** An object as it is; `undefined` when it is not there. */
  get(object: Manifest, context: CallContext): Promise<Manifest | undefined>;
  /** Makes an object what the manifest says, by server-side apply; the object as it is then. */
  apply(object: Manifest, options: ApplyOptions, context: CallContext): Promise<Manifest>;
  /** Removes an object and what it owns; none is no error. */
  delete(object: Manifest, context: CallContext): Promise<void>;
  /** Objects of a kind in a namespace with all of these labels; none where the cluster does not know the kind. */
  list(wanted: ListRequest, context: CallContext): Promise<readonly Manifest[]>;
}

/** Which objects are listed. */
export interface ListRequest extends ObjectKind {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** An object for people: `apps/v1 Deployment prod/digits`. */
export function objectName({ apiVersion, kind, metadata }: Manifest): string {
  return `${apiVersion} ${kind} ${metadata.namespace}/${metadata.name}`;
}
