import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Gauge } from '../../sdk/index.ts';
import { TokenBuckets } from '../access/rate-limits.ts';
import { KERNEL_ID } from '../builtin.ts';
import type { KernelConfig } from '../config-schema.ts';
import type { KernelParts } from '../container.ts';
import { Admission } from './admission.ts';
import { type BreakerLimits, CircuitBreaker } from './circuit-breaker.ts';
import { InstanceLoad } from './instance.ts';
import { Vitals } from './vitals.ts';

/** Calls that may wait for a plugin when its manifest does not say, enough for one burst of clients. */
const QUEUED_CALLS = 1_024;

/** Calls of a plugin that may wait: while it is not ready, or while as many run as may. */
export function queueOf({ resources }: Manifest): number {
  return resources?.queue === undefined || resources.queue === 0 ? QUEUED_CALLS : resources.queue;
}

/** Half of at least twenty calls within ten seconds is trouble; five seconds are a restart's time. */
const BREAKER: BreakerLimits = { faultRatio: 0.5, minimumCalls: 20, windowMs: 10_000, openMs: 5_000 };

/** Topic on which the kernel tells that a circuit opened or closed. */
const CIRCUIT_TOPIC = 'kernel.plugin.circuit';

/** Makes the bounds of each instance from its manifest and from what the operator says. */
export class Loads {
  readonly #parts: KernelParts;
  readonly #plugins: KernelConfig['plugins'];
  /** Outlives instances, so that a reload is no way around a limit. */
  readonly #rates: Map<string, TokenBuckets> = new Map();
  readonly #openCircuits: Gauge;

  constructor(parts: KernelParts, plugins: KernelConfig['plugins']) {
    this.#parts = parts;
    this.#plugins = plugins;
    this.#openCircuits = parts.metrics.kernel.gauge({
      name: 'lamella_plugin_circuit_open',
      help: '1 while a plugin gets no calls because it failed most of its last ones.',
      labels: ['plugin'],
    });
  }

  for(manifest: Manifest): InstanceLoad {
    const { id, resources } = manifest;
    const limits = { ...BREAKER, ...this.#plugins[id]?.circuitBreaker };
    const vitals = new Vitals();
    const onCircuit = (isOpen: boolean): void => {
      vitals.set('circuit', isOpen ? 'most of its last calls failed and it gets none for a while' : '');
      this.#onCircuit(id, isOpen);
    };
    return new InstanceLoad(
      new Admission({
        pluginId: id,
        concurrency: resources?.concurrency ?? 0,
        queue: queueOf(manifest),
        rate: this.#rate(id),
        breaker: limits.minimumCalls === 0 ? undefined : new CircuitBreaker(limits, onCircuit),
      }),
      vitals,
    );
  }

  #rate(id: string): TokenBuckets | undefined {
    const limit = this.#plugins[id]?.rateLimit;
    if (limit === undefined) return undefined;
    const known = this.#rates.get(id) ?? new TokenBuckets(limit);
    this.#rates.set(id, known);
    return known;
  }

  #onCircuit(plugin: string, isOpen: boolean): void {
    const { log, events } = this.#parts;
    this.#openCircuits.set(isOpen ? 1 : 0, { plugin });
    events.publish(CIRCUIT_TOPIC, { plugin, isOpen }, KERNEL_ID);
    if (isOpen) log.warn('a plugin gets no calls for a while: most of its last ones failed', { plugin });
    else log.info('a plugin gets calls again', { plugin });
  }
}
