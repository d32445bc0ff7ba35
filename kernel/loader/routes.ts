import type { DescMethod, DescService } from '@bufbuild/protobuf';
import type { FetchHandler } from '../../sdk/index.ts';
import { Call } from '../call.ts';
import type { Router } from '../router.ts';
import { methodPath } from '../target.ts';
import type { PluginRecord } from './record.ts';

/** Where methods and HTTP prefixes become reachable; the listeners implement it. */
export interface Exposure {
  /** Makes a method callable; a second call for the same path and kind changes nothing. */
  expose(path: string, kind: DescMethod['methodKind']): void;
  hide(path: string): void;
  /** @returns a function that takes the handler out again. */
  mount(prefix: string, handler: FetchHandler, owner: string): () => void;
}

/**
 * Keeps router, gRPC paths and HTTP prefixes in step with what plugins provide.
 *
 * @remarks Paths are exposed once and stay while any plugin provides the service: instances change behind them.
 */
export class Routes {
  readonly #router: Router;
  readonly #exposure: Exposure;
  readonly #descriptors: Map<string, DescService> = new Map();
  readonly #mounts: Map<string, () => void> = new Map();

  constructor(router: Router, exposure: Exposure) {
    this.#router = router;
    this.#exposure = exposure;
  }

  /** Descriptors of everything that is served now, by full service name. */
  get descriptors(): ReadonlyMap<string, DescService> {
    return this.#descriptors;
  }

  /** A plugin is known: calls to its services wait for it from now on. */
  announce(record: PluginRecord): void {
    this.#route(record);
    const prefix = record.manifest.capabilities?.httpPrefix ?? '';
    if (prefix !== '')
      this.#mounts.set(record.id, this.#exposure.mount(prefix, httpHandler(record), record.id));
  }

  /** A plugin has an instance whose descriptors are known: its methods can be called from outside. */
  open(record: PluginRecord): void {
    // A new version may provide more than the one before it.
    this.#route(record);
    for (const service of record.services) this.describe(service);
  }

  /** Makes the methods of a service callable and visible to reflection. */
  describe(service: DescService): void {
    this.#descriptors.set(service.typeName, service);
    for (const method of service.methods) this.#exposure.expose(methodPath(method), method.methodKind);
  }

  #route(record: PluginRecord): void {
    for (const { service, extension } of record.manifest.provides) {
      this.#router.add(service, extension, record.slot);
    }
  }

  withdraw(record: PluginRecord): void {
    for (const { service, extension } of record.manifest.provides) {
      const isLast = this.#router.remove(service, extension, record.slot);
      if (isLast) this.#close(service);
    }
    this.#mounts.get(record.id)?.();
    this.#mounts.delete(record.id);
  }

  #close(service: string): void {
    for (const method of this.#descriptors.get(service)?.methods ?? []) {
      this.#exposure.hide(methodPath(method));
    }
    this.#descriptors.delete(service);
  }
}

function httpHandler(record: PluginRecord): FetchHandler {
  return async (request, context) => {
    const call = new Call({
      readHeaders: () => new Map(request.headers),
      readPeer: () => context.peer,
      onCancelled: (listener) => context.signal.addEventListener('abort', listener, { once: true }),
    });
    const instance = await record.slot.acquire(call);
    if (instance.http === undefined) {
      return Response.json(
        { error: `Plugin '${record.id}' has an HTTP prefix but serves no HTTP.` },
        { status: 501 },
      );
    }
    instance.load.enter(call);
    try {
      return await instance.http(request, context);
    } finally {
      instance.load.leave(call);
    }
  };
}
