import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import { Code, type ErrorType, type ServiceImplementation } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** Health was asked for a service that nobody registered. */
export const HealthServiceUnknown: ErrorType<'service'> = defineKernelError({
  reason: 'HEALTH_SERVICE_UNKNOWN',
  code: Code.NOT_FOUND,
  message: ({ service }) =>
    `No service '${service}' is known; List shows the names, the empty name means the whole server.`,
});

/** Asked for by this name, health tells whether the process works: SERVING also while it starts and drains. */
export const LIVENESS_SERVICE = 'kernel.live';

/** The kernel is about to end and tells those who watch. */
export const HealthWatchEnded: ErrorType = defineKernelError({
  reason: 'HEALTH_WATCH_ENDED',
  code: Code.UNAVAILABLE,
  retryAfterMs: 1_000,
  message: () => 'The kernel stops and takes no calls any more; watch another one, or this one again later.',
});

/** Whether a service serves. */
export type HealthStatus = 'SERVING' | 'NOT_SERVING';

/** Health of every service of a server; the empty name stands for the server as a whole. */
export class HealthRegistry {
  readonly #statuses: Map<string, HealthStatus> = new Map();
  readonly #watchers: Set<() => void> = new Set();
  #isShutDown = false;
  #isClosed = false;

  set(service: string, status: HealthStatus): void {
    if (this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    this.#notify();
  }

  remove(service: string): void {
    if (this.#statuses.delete(service)) this.#notify();
  }

  /** From now on everything but liveness is NOT_SERVING, whatever is set. */
  shutdown(): void {
    this.#isShutDown = true;
    this.#notify();
  }

  get(service: string): HealthStatus | undefined {
    const status = this.#statuses.get(service);
    const isOver = this.#isShutDown && service !== LIVENESS_SERVICE;
    return status !== undefined && isOver ? 'NOT_SERVING' : status;
  }

  /** Ends all watches, which would otherwise hold their connections open until they are cut. */
  close(): void {
    this.#isClosed = true;
    this.#notify();
  }

  get services(): string[] {
    return [...this.#statuses.keys()].toSorted();
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /**
   * The status now and after each change, until the signal; `undefined` while the service is unknown.
   *
   * @throws HEALTH_WATCH_ENDED once the registry is closed and the last status is told.
   */
  async *watch(service: string, signal: AbortSignal): AsyncGenerator<HealthStatus | undefined> {
    let wake: () => void = () => undefined;
    const watcher = (): void => wake();
    this.#watchers.add(watcher);
    signal.addEventListener('abort', watcher, { once: true });
    let last: HealthStatus | undefined | 'nothing sent' = 'nothing sent';
    try {
      while (!signal.aborted) {
        const status = this.get(service);
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (status !== last) {
          last = status;
          yield status;
          // A change during the yield woke nobody that waits; look again before sleeping.
          continue;
        }
        if (this.#isClosed) throw new HealthWatchEnded({});
        await changed;
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener('abort', watcher);
    }
  }
}

function toWire(status: HealthStatus | undefined): ServingStatus {
  if (status === undefined) return ServingStatus.SERVICE_UNKNOWN;
  return ServingStatus[status];
}

/** `grpc.health.v1` with Check, Watch and List (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). */
export function createHealthService(registry: HealthRegistry): {
  service: typeof Health;
  implementation: ServiceImplementation<typeof Health>;
} {
  return {
    service: Health,
    implementation: {
      check: ({ service }) => {
        const status = registry.get(service);
        if (status === undefined) throw new HealthServiceUnknown({ service });
        return { status: toWire(status) };
      },
      async *watch({ service }, { signal }) {
        for await (const status of registry.watch(service, signal)) yield { status: toWire(status) };
      },
      list: () => ({
        statuses: Object.fromEntries(
          registry.services.map((service) => [service, { status: toWire(registry.get(service)) }]),
        ),
      }),
    },
  };
}
