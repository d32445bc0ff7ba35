import type { DescService } from '@bufbuild/protobuf';
import type { FetchHandler, Logger } from '../../sdk/index.ts';
import { createHost, type HostParts, Served } from '../host.ts';
import { LocalTarget } from '../target.ts';
import type { Watchdog } from '../watchdog.ts';
import { type Bundle, evaluateBundle } from './bundle.ts';
import { Disposer } from './disposer.ts';
import type { Instance, InstanceLoad } from './instance.ts';

/** A running instance together with the descriptors of what it serves. */
export interface Started {
  readonly instance: Instance;
  readonly services: readonly DescService[];
}

/** Parts of a host that the starter of an instance makes itself. */
export type OwnParts = 'disposer' | 'signal' | 'events';

/** Input of {@link startInline}. */
export interface InlineStart {
  readonly bundle: Bundle;
  readonly load: InstanceLoad;
  readonly watchdog: Watchdog;
  readonly parts: Omit<HostParts, OwnParts>;
  readonly eventsFor: (signal: AbortSignal) => HostParts['events'];
  /** Called last when the instance has stopped. */
  readonly onStop: () => void;
}

/**
 * Starts a plugin inside the kernel's own thread.
 *
 * @throws PLUGIN_START_FAILED, SERVICE_NOT_SERVED, or what the plugin's start() throws.
 */
export async function startInline(start: InlineStart): Promise<Started> {
  const { bundle } = start;
  const { manifest, log } = start.parts;
  const plugin = await evaluateBundle(bundle, manifest.id);
  const controller = new AbortController();
  const disposer = new Disposer();
  const served = new Served(manifest);
  const { signal } = controller;
  const events = start.eventsFor(signal);
  const stop = async (): Promise<void> => {
    controller.abort();
    await disposer.dispose(log);
    start.onStop();
  };
  try {
    await plugin.start(createHost({ ...start.parts, disposer, signal, events }, served));
    served.check();
  } catch (error) {
    await stop();
    throw error;
  }
  const instance = new InlineInstance(start, { digest: bundle.digest, served, stop });
  return { instance, services: served.services };
}

interface Running {
  readonly digest: string;
  readonly served: Served;
  readonly stop: () => Promise<void>;
}

class InlineInstance implements Instance {
  readonly pluginId: string;
  readonly version: string;
  readonly isolation = 'INLINE' as const;
  readonly digest: string;
  readonly pid: undefined = undefined;
  readonly target: LocalTarget;
  readonly http: FetchHandler | undefined;
  readonly load: InstanceLoad;
  /** Code in the kernel's thread cannot end by itself. */
  readonly crashed: Promise<string> = new Promise(() => undefined);
  readonly #log: Logger;
  #stopping: Promise<void> | undefined;
  readonly #stop: () => Promise<void>;

  constructor(start: InlineStart, running: Running) {
    this.pluginId = start.parts.manifest.id;
    this.version = start.parts.manifest.version;
    this.load = start.load;
    this.#log = start.parts.log;
    this.digest = running.digest;
    this.target = new LocalTarget(start.watchdog.marked(this.pluginId, running.served.methods));
    this.http = running.served.http;
    this.#stop = running.stop;
  }

  async stop(): Promise<void> {
    this.#stopping ??= limited(this.#stop(), () =>
      this.#log.warn('the plugin did not stop in time; its resources may still be in use', {
        limitMs: STOP_LIMIT_MS,
      }),
    );
    await this.#stopping;
  }
}

/** Time an instance gets to release its resources, in milliseconds. */
export const STOP_LIMIT_MS = 5_000;

async function limited(work: Promise<void>, onLate: () => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      onLate();
      resolve();
    }, STOP_LIMIT_MS);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
