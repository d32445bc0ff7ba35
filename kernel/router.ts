import { ExtensionNotFound, KernelStarting, ServiceNotFound } from './errors.ts';
import type { Slot } from './loader/slot.ts';
import { StartGate } from './start-gate.ts';

/** Call metadata that chooses one implementation of an extension point. */
export const EXTENSION_HEADER = 'lamella-extension';

/** Who serves one service: a slot for each extension name. */
class ServiceRoute {
  readonly #slots: Map<string, Slot> = new Map();
  #only: Slot | undefined;
  /** The provider of a service that is no extension point. */
  #plain: Slot | undefined;

  readonly service: string;

  constructor(service: string) {
    this.service = service;
  }

  set(extension: string, slot: Slot): void {
    this.#slots.set(extension, slot);
    this.#settle();
  }

  remove(extension: string, slot: Slot): void {
    if (this.#slots.get(extension) === slot) this.#slots.delete(extension);
    this.#settle();
  }

  #settle(): void {
    this.#only = this.#first();
    this.#plain = this.#slots.size === 1 ? this.#slots.get('') : undefined;
  }

  get isEmpty(): boolean {
    return this.#slots.size === 0;
  }

  get slots(): IterableIterator<Slot> {
    return this.#slots.values();
  }

  /** The default is the provider without an extension name, else the first by name: the same on every start. */
  #first(): Slot | undefined {
    const name = [...this.#slots.keys()].toSorted()[0];
    return name === undefined ? undefined : this.#slots.get(name);
  }

  /** @param readExtension - Asked only where there is something to choose from. */
  slot(readExtension: () => string): Slot {
    if (this.#plain !== undefined) return this.#plain;
    const extension = readExtension();
    const found = extension === '' ? this.#only : this.#slots.get(extension);
    if (found !== undefined) return found;
    const known = [...this.#slots.keys()].filter((name) => name !== '').join(', ');
    throw new ExtensionNotFound({ service: this.service, extension, known: known === '' ? 'none' : known });
  }
}

/** Service names to slots. Pure bookkeeping; nothing here waits or does I/O. */
export class Router {
  readonly #services: Map<string, ServiceRoute> = new Map();
  /** Closed until all that is to be loaded at the start is known: till then a name that is not might still become so. */
  readonly gate: StartGate = new StartGate();

  /** Adds a provider; `extension` names its variant of an extension point and is empty otherwise. */
  add(service: string, extension: string, slot: Slot): void {
    let route = this.#services.get(service);
    if (route === undefined) {
      route = new ServiceRoute(service);
      this.#services.set(service, route);
    }
    route.set(extension, slot);
  }

  /** Removes a provider. Returns true when nobody provides the service any more. */
  remove(service: string, extension: string, slot: Slot): boolean {
    const route = this.#services.get(service);
    route?.remove(extension, slot);
    if (route === undefined || !route.isEmpty) return false;
    this.#services.delete(service);
    return true;
  }

  has(service: string): boolean {
    return this.#services.has(service);
  }

  get services(): string[] {
    return [...this.#services.keys()].toSorted();
  }

  /** Slots of a service, for health. */
  providers(service: string): Slot[] {
    return [...(this.#services.get(service)?.slots ?? [])];
  }

  /** Plugin that provides a service; an extension point has `several`, and the name alone does not say which. */
  providerName(service: string): string {
    const [only, ...more] = this.providers(service);
    if (only === undefined) return '';
    return more.length === 0 ? only.pluginId : 'several';
  }

  /** @throws SERVICE_NOT_FOUND, EXTENSION_NOT_FOUND, KERNEL_STARTING */
  slot(service: string, readExtension: () => string): Slot {
    const route = this.#services.get(service);
    if (route === undefined)
      throw this.gate.isOpen ? new ServiceNotFound({ service }) : new KernelStarting({ service });
    return route.slot(readExtension);
  }
}
