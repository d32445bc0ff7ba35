import type { DescMessage, DescMethod, DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { Call } from '../call.ts';
import type { CapabilityGuard } from '../capabilities/guard.ts';
import type { Router } from '../router.ts';
import type { MountHandler } from '../server/http-mounts.ts';
import { methodPath } from '../target.ts';
import type { PluginRecord } from './record.ts';

/** Where methods and HTTP prefixes become reachable; the listeners implement it. */
export interface Exposure {
  /** Makes a method callable; a second call for the same path and kind changes nothing. */
  expose(path: string, kind: DescMethod['methodKind']): void;
  hide(path: string): void;
  /** @returns a function that takes the handler out again. */
  mount(prefix: string, handler: MountHandler, owner: string): () => void;
}

interface Mount {
  readonly prefix: string;
  readonly unmount: () => void;
}

/**
 * Keeps router, gRPC paths and HTTP prefixes in step with what plugins provide.
 *
 * @remarks Paths are exposed once and stay while any plugin provides the service: instances change behind them.
 */
export class Routes {
  readonly #router: Router;
  readonly #exposure: Exposure;
  readonly #guard: Pick<CapabilityGuard, 'granted'>;
  readonly #descriptors: Map<string, DescService> = new Map();
  readonly #mounts: Map<string, Mount> = new Map();
  /** What each plugin is routed by; a new version may provide something else. */
  readonly #routed: Map<string, Manifest> = new Map();

  constructor(router: Router, exposure: Exposure, guard: Pick<CapabilityGuard, 'granted'>) {
    this.#guard = guard;
    this.#router = router;
    this.#exposure = exposure;
  }

  /** Descriptors of everything that is served now, by full service name. */
  get descriptors(): ReadonlyMap<string, DescService> {
    return this.#descriptors;
  }

  /** A plugin is known: calls to its services wait for it from now on. */
  announce(record: PluginRecord): void {
    const { id, manifest, slot } = record;
    const previous = this.#routed.get(id);
    this.#routed.set(id, manifest);
    for (const { service, extension } of manifest.provides) this.#router.add(service, extension, slot);
    this.#mount(record, this.#guard.granted(manifest).httpPrefix);
    if (previous !== undefined) this.#drop(record, previous, manifest);
  }

  /** All that is to be loaded at the start is known. */
  complete(): void {
    this.#router.gate.open();
  }

  /** A version of a plugin is in service: exactly what it provides can be called from outside. */
  open(record: PluginRecord, services: readonly DescService[]): void {
    this.announce(record);
    for (const service of services) this.describe(service);
  }

  /** Makes the methods of a service callable and visible to reflection. */
  describe(service: DescService): void {
    this.#descriptors.set(service.typeName, service);
    for (const method of service.methods) this.#exposure.expose(methodPath(method), method.methodKind);
  }

  /** Finds a message in the files of the services that are loaded, by its full name. */
  message(name: string): DescMessage | undefined {
    for (const { file } of this.#descriptors.values()) {
      for (const { messages } of [file, ...file.dependencies]) {
        const found = messageIn(messages, name);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  withdraw(record: PluginRecord): void {
    const routed = this.#routed.get(record.id);
    this.#routed.delete(record.id);
    if (routed !== undefined) this.#drop(record, routed);
    this.#mount(record, '');
  }

  /** Takes out what one version provides and the next does not. */
  #drop(record: PluginRecord, previous: Manifest, next?: Manifest): void {
    const kept = new Set(next?.provides.map(provisionKey));
    for (const provision of previous.provides) {
      if (kept.has(provisionKey(provision))) continue;
      const isLast = this.#router.remove(provision.service, provision.extension, record.slot);
      if (isLast) this.#close(provision.service);
    }
  }

  #mount(record: PluginRecord, prefix: string): void {
    const mounted = this.#mounts.get(record.id);
    if (mounted?.prefix === prefix) return;
    mounted?.unmount();
    this.#mounts.delete(record.id);
    if (prefix === '') return;
    const unmount = this.#exposure.mount(prefix, httpHandler(record), record.id);
    this.#mounts.set(record.id, { prefix, unmount });
  }

  #close(service: string): void {
    for (const method of this.#descriptors.get(service)?.methods ?? []) {
      this.#exposure.hide(methodPath(method));
    }
    this.#descriptors.delete(service);
  }
}

function provisionKey({ service, extension }: Manifest['provides'][number]): string {
  return `${service} ${extension}`;
}

function messageIn(messages: readonly DescMessage[], name: string): DescMessage | undefined {
  // A message that is nested in another has its name before its own.
  const near = messages.find(({ typeName }) => name === typeName || name.startsWith(`${typeName}.`));
  return near === undefined || near.typeName === name ? near : messageIn(near.nestedMessages, name);
}

/** Passes requests to whatever instance is in service; it has the request until the last byte of the answer is out. */
function httpHandler(record: PluginRecord): MountHandler {
  return async (request, { signal: left, peer, span, onEnd, onServed }) => {
    const call = new Call({
      readHeaders: () => new Map(request.headers),
      readPeer: () => peer,
      onCancelled: (listener) => left.addEventListener('abort', listener, { once: true }),
    });
    let instance = record.slot.acquire(call);
    // No pause once it is found: meanwhile it could be taken out of service and stopped.
    for (; instance instanceof Promise; instance = record.slot.acquire(call)) await instance;
    const { http, load } = instance;
    onServed(instance);
    if (http === undefined) {
      return Response.json(
        { error: `Plugin '${record.id}' has an HTTP prefix but serves no HTTP.` },
        { status: 501 },
      );
    }
    const entering = load.enter(call);
    onEnd(() => load.leave(call));
    try {
      if (entering !== undefined) {
        await entering;
        call.throwIfAborted();
      }
      // Aborted when the client leaves, and when the instance is drained and can wait no longer.
      const signal = AbortSignal.any([left, call.signal]);
      return await http(request, { signal, peer, span });
    } catch (error) {
      const failure = call.explain(error);
      load.leave(call, failure);
      throw failure;
    }
  };
}
