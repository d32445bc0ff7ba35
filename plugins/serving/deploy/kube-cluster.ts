import type * as kubernetes from '@kubernetes/client-node';
import { type CallContext, isDeclaredError } from 'lamella/sdk';
import { type ApplyOptions, type Cluster, type ListRequest, objectName } from './cluster.ts';
import { clusterError } from './cluster-error.ts';
import { ClusterKindUnknown, ClusterUnreachable } from './errors.ts';
import type { Manifest } from './manifest.ts';

/** Which cluster, and as whom. */
export interface KubeAccess {
  /** kubeconfig file; empty for KUBECONFIG, `~/.kube/config`, or the service account of the pod. */
  readonly kubeconfig: string;
  /** Context of the file; empty for its current one. */
  readonly kubeContext: string;
}

/** Who an API server says manages the fields that come from here. */
const FIELD_MANAGER = 'lamella';
const TIMEOUT_MS = 30_000;
const LIST_LIMIT = 500;

type Library = typeof kubernetes;

interface Opened {
  readonly api: kubernetes.KubernetesObjectApi;
  readonly config: kubernetes.KubeConfig;
  readonly library: Library;
}

/** A cluster through `@kubernetes/client-node`, which is loaded at the first call. */
export class KubeCluster implements Cluster {
  readonly #access: KubeAccess;
  #opened: Promise<Opened> | undefined;

  constructor(access: KubeAccess) {
    this.#access = access;
  }

  async get(object: Manifest, context: CallContext): Promise<Manifest | undefined> {
    try {
      return await this.#call(object, context, ({ api }) => api.read<Manifest>(structuredClone(object)));
    } catch (error) {
      if (isDeclaredError(error) && error.reason === ClusterKindUnknown.definition.reason) return undefined;
      throw error;
    }
  }

  apply(object: Manifest, { isDryRun, isForced }: ApplyOptions, context: CallContext): Promise<Manifest> {
    return this.#call(object, context, ({ config, library }) =>
      apiThatSends(object, { config, library }).patch<Manifest>(
        structuredClone(object),
        undefined,
        isDryRun ? 'All' : undefined,
        FIELD_MANAGER,
        isForced,
        library.PatchStrategy.ServerSideApply,
      ),
    );
  }

  async delete(object: Manifest, context: CallContext): Promise<void> {
    const { apiVersion, kind, metadata } = object;
    const { name, namespace } = metadata;
    try {
      await this.#call(object, context, ({ api }) =>
        api.delete(
          { apiVersion, kind, metadata: { name, namespace } },
          undefined,
          undefined,
          undefined,
          undefined,
          'Background',
        ),
      );
    } catch (error) {
      if (!isDeclaredError(error) || error.reason !== ClusterKindUnknown.definition.reason) throw error;
    }
  }

  async list(wanted: ListRequest, context: CallContext): Promise<readonly Manifest[]> {
    const { apiVersion, kind, namespace, labels } = wanted;
    const selector = Object.entries(labels)
      .map(([label, value]) => `${label}=${value}`)
      .join(',');
    const object: Manifest = { apiVersion, kind, metadata: { name: '', namespace } };
    try {
      const { items } = await this.#call(object, context, ({ api }) =>
        api.list<Manifest>(
          apiVersion,
          kind,
          namespace,
          undefined,
          undefined,
          undefined,
          undefined,
          selector,
          LIST_LIMIT,
        ),
      );
      // The items of a list do not say what they are.
      return items.map((item) => ({ ...item, apiVersion, kind }));
    } catch (error) {
      if (isDeclaredError(error) && error.reason === ClusterKindUnknown.definition.reason) return [];
      throw error;
    }
  }

  async #call<Result>(
    object: Manifest,
    context: CallContext,
    use: (opened: Opened) => Promise<Result>,
  ): Promise<Result> {
    this.#opened ??= this.#open();
    const opened = await this.#opened.catch((error: unknown) => {
      // The file may be right the next time.
      this.#opened = undefined;
      throw error;
    });
    try {
      return await inTime(use(opened), context);
    } catch (error) {
      throw clusterError(error, objectName(object), opened.library.ApiException);
    }
  }

  async #open(): Promise<Opened> {
    const library = await import('@kubernetes/client-node');
    const config = new library.KubeConfig();
    try {
      if (this.#access.kubeconfig === '') config.loadFromDefault();
      else config.loadFromFile(this.#access.kubeconfig);
      if (this.#access.kubeContext !== '') config.setCurrentContext(this.#access.kubeContext);
      return { api: library.KubernetesObjectApi.makeApiClient(config), config, library };
    } catch (cause) {
      throw new ClusterUnreachable({ problem: 'its kubeconfig cannot be read' }, { cause });
    }
  }
}

/**
 * An API whose patches carry the object as it is.
 *
 * @remarks The library writes objects by its own models, and what those call otherwise it leaves out in silence: the `from`
 * of a NetworkPolicy, so that everybody would be let in.
 */
function apiThatSends(
  object: Manifest,
  { config, library }: Omit<Opened, 'api'>,
): kubernetes.KubernetesObjectApi {
  const configuration = library.createConfiguration({
    baseServer: new library.ServerConfiguration(config.getCurrentCluster()?.server ?? '', {}),
    authMethods: { default: config },
    promiseMiddleware: [
      {
        pre: async (request) => {
          if (request.getHttpMethod() === library.HttpMethod.PATCH) request.setBody(JSON.stringify(object));
          return request;
        },
        post: async (response) => response,
      },
    ],
  });
  return new library.KubernetesObjectApi(configuration);
}

/** The library can neither be told to stop nor to hurry. */
async function inTime<Result>(work: Promise<Result>, context: CallContext): Promise<Result> {
  const ended = AbortSignal.any([context.signal, AbortSignal.timeout(TIMEOUT_MS)]);
  let onAbort: (() => void) | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(new ClusterUnreachable({ problem: `no answer within ${TIMEOUT_MS} ms` }));
    ended.addEventListener('abort', onAbort, { once: true });
    if (ended.aborted) onAbort();
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    if (onAbort !== undefined) ended.removeEventListener('abort', onAbort);
  }
}
