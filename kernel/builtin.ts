import type { DescService } from '@bufbuild/protobuf';
import type { ServiceImplementation } from '../sdk/index.ts';
import { KERNEL_DOMAIN } from './kernel-error.ts';
import { type Instance, InstanceLoad } from './loader/instance.ts';
import { Slot } from './loader/slot.ts';
import { bindService, type BoundMethod, LocalTarget } from './target.ts';

/** Id under which the kernel's own services run. */
export const KERNEL_ID = 'kernel';

/** A service and what serves it. */
export interface BuiltinService {
  readonly service: DescService;
  readonly methods: ReadonlyMap<string, BoundMethod>;
}

/** Pairs a service with its implementation, with the types checked. */
export function builtin<Service extends DescService>(
  service: Service,
  implementation: ServiceImplementation<Service>,
): BuiltinService {
  return { service, methods: bindService(service, { implementation, domain: KERNEL_DOMAIN }) };
}

/** A slot for the kernel's own services: they are dispatched like everybody's, and never change. */
export function builtinSlot(services: readonly BuiltinService[], version: string): Slot {
  const slot = new Slot(KERNEL_ID, { parked: 0, parkedMs: 0 });
  const instance: Instance = {
    pluginId: KERNEL_ID,
    version,
    isolation: 'INLINE',
    digest: '',
    pid: process.pid,
    target: new LocalTarget(new Map(services.flatMap(({ methods }) => [...methods]))),
    http: undefined,
    load: new InstanceLoad(),
    crashed: new Promise(() => undefined),
    stop: async () => undefined,
  };
  slot.swap(instance);
  return slot;
}
