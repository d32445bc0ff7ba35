import { create, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { DescFile, DescService } from '@bufbuild/protobuf';
import { HostService } from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import { HttpService } from '../../proto/gen/lamella/kernel/v1/http_service_pb.ts';
import { type Manifest, ManifestSchema } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Client, Metrics, Storage } from '../../sdk/index.ts';
import type { PluginGuard } from '../capabilities/guard.ts';
import { type ClientTransport, createClient } from '../client.ts';
import { createHost, Served } from '../host.ts';
import { domainOf } from '../kernel-error.ts';
import { type Bundle, evaluateBundle } from '../loader/bundle.ts';
import type { Disposer } from '../loader/disposer.ts';
import type { KernelLogger } from '../logger.ts';
import { Propagation } from '../propagation.ts';
import { levelOf } from '../server/log-methods.ts';
import { bindService } from '../target.ts';
import { createHttpService } from './http-service.ts';
import { explainDenial } from './denied-access.ts';
import { KernelEvents } from './kernel-events.ts';
import { KernelGuard } from './kernel-guard.ts';
import { KernelSecrets } from './kernel-secrets.ts';

/** What differs between a plugin in a process and one in a worker. */
export interface PluginParts {
  /** Calls to the kernel; its token says who calls. */
  readonly transport: ClientTransport;
  readonly log: KernelLogger;
  readonly disposer: Disposer;
  /** Aborted when the instance is to stop. */
  readonly signal: AbortSignal;
  readonly storage: (directory: string) => Storage;
  /** Reads the plugin's code. */
  readonly bundle: (manifest: Manifest) => Promise<Bundle>;
  readonly metrics: (manifest: Manifest, kernel: Client<typeof HostService>) => Metrics;
}

/** A plugin that has started but is not announced. */
export interface StartedPlugin {
  readonly served: Served;
  readonly guard: PluginGuard;
  /** Tells the kernel what is served, once it can be called. */
  readonly announce: () => Promise<void>;
}

/**
 * Runs a plugin outside the kernel's thread: its code, its host object and what the kernel knows of it are the same
 * wherever that is.
 *
 * @throws PLUGIN_START_FAILED, SERVICE_NOT_SERVED, or what the plugin's start() throws.
 */
export async function startPlugin(parts: PluginParts): Promise<StartedPlugin> {
  const { transport, log, disposer, signal } = parts;
  const kernel = createClient(HostService, transport);
  const instance = await kernel.getInstance({});
  log.level = levelOf(instance.logLevel) ?? log.level;
  const manifest = instance.manifest ?? create(ManifestSchema);
  const guard = new KernelGuard(manifest, kernel);
  const plugin = await evaluateBundle(await parts.bundle(manifest), manifest.id);
  const secrets = await KernelSecrets.load(kernel, manifest, guard);
  const served = new Served(manifest);
  const host = createHost(
    {
      manifest,
      config: instance.config ?? {},
      log,
      clock: { now: () => Date.now() },
      signal,
      storage: parts.storage(instance.storageDirectory),
      metrics: parts.metrics(manifest, kernel),
      events: new KernelEvents(transport, signal, guard),
      secrets,
      guard,
      transport,
      propagation: new Propagation(instance.propagatedHeaders),
      disposer,
    },
    served,
  );
  try {
    await plugin.start(host);
  } catch (error) {
    throw explainDenial(error, guard);
  }
  served.check();
  if (served.http !== undefined) {
    const methods = bindService(HttpService, {
      implementation: createHttpService(served.http),
      domain: domainOf(manifest.id),
    });
    for (const [path, method] of methods) served.methods.set(path, method);
  }
  const announce = async (): Promise<void> => {
    await kernel.announce({
      services: manifest.provides,
      fileDescriptorSet: descriptorSet(served.services),
      http: served.http !== undefined,
    });
  };
  return { served, guard, announce };
}

/** All files that the services need, each after those it imports. */
function descriptorSet(services: readonly DescService[]): Uint8Array {
  const files = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (files.has(file.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    files.set(file.name, file);
  };
  for (const service of services) visit(service.file);
  const set = create(FileDescriptorSetSchema, { file: [...files.values()].map(({ proto }) => proto) });
  return toBinary(FileDescriptorSetSchema, set);
}
