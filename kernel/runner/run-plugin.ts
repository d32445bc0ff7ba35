import { create, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { DescFile, DescService } from '@bufbuild/protobuf';
import { type GetInstanceResponse, HostService } from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Client, Logger } from '../../sdk/index.ts';
import { type ClientTransport, createClient, EncodingTransport } from '../client.ts';
import { createHost, Served } from '../host.ts';
import { KERNEL_DOMAIN } from '../kernel-error.ts';
import { LinkTransport } from '../kernel-link.ts';
import { LinkClient } from '../link/link-client.ts';
import { evaluateBundle, readBundle } from '../loader/bundle.ts';
import { Disposer } from '../loader/disposer.ts';
import { readManifest } from '../registry/manifest.ts';
import { GrpcServer } from '../server/grpc-server.ts';
import { createHealthService, HealthRegistry } from '../server/health.ts';
import { LmdbStorage } from '../storage.ts';
import { bindService, LocalTarget } from '../target.ts';
import { KernelEvents } from './kernel-events.ts';
import { KernelMetrics } from './kernel-metrics.ts';
import { KernelSecrets } from './kernel-secrets.ts';

/** What the kernel tells a plugin process by its environment. */
export interface RunnerEnvironment {
  readonly directory: string;
  readonly socketPath: string;
  readonly kernelSocket: string;
  readonly token: string;
}

/** Time running calls get when the process is asked to stop, in milliseconds. */
const DRAIN_MS = 2_000;

/** Largest message taken from the kernel, in bytes; the kernel has checked what comes from outside. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;

/** Serves a plugin until the signal: start, announce, healthy; then drain and release. */
export async function runPlugin(
  environment: RunnerEnvironment,
  log: Logger,
  stop: AbortSignal,
): Promise<void> {
  const link = await LinkClient.connect({ socketPath: environment.kernelSocket });
  const transport = new EncodingTransport(new LinkTransport(link, environment.token));
  const kernel = createClient(HostService, transport);
  const manifest = await readManifest(environment.directory);
  const disposer = new Disposer();
  const served = await start(environment, { manifest, transport, kernel, log, disposer, stop });
  const health = new HealthRegistry();
  const server = await serve(served, health, environment.socketPath);
  await kernel.announce({
    services: manifest.provides,
    fileDescriptorSet: descriptorSet(served.services),
    http: false,
  });
  health.set('', 'SERVING');
  await aborted(stop);
  await server.close(DRAIN_MS);
  await disposer.dispose(log);
  await link.close();
}

interface StartParts {
  readonly manifest: Manifest;
  readonly transport: ClientTransport;
  readonly kernel: Client<typeof HostService>;
  readonly log: Logger;
  readonly disposer: Disposer;
  readonly stop: AbortSignal;
}

async function start(environment: RunnerEnvironment, parts: StartParts): Promise<Served> {
  const { manifest, transport, kernel, log, disposer, stop } = parts;
  const [instance, bundle] = await Promise.all([
    kernel.getInstance({}),
    readBundle({
      pluginId: manifest.id,
      directory: environment.directory,
      module: manifest.entry?.module ?? '',
      externals: manifest.externals,
    }),
  ]);
  const plugin = await evaluateBundle(bundle, manifest.id);
  const secrets = await KernelSecrets.load(kernel, manifest);
  const served = new Served(manifest);
  const host = createHost(
    {
      manifest,
      config: configOf(instance),
      log,
      clock: { now: () => Date.now() },
      signal: stop,
      storage: disposer.own(new LmdbStorage(instance.storageDirectory)),
      metrics: new KernelMetrics(manifest.id, kernel, log),
      events: new KernelEvents(transport, stop, log),
      secrets,
      transport,
      disposer,
    },
    served,
  );
  await plugin.start(host);
  served.check();
  return served;
}

function configOf(instance: GetInstanceResponse): unknown {
  return instance.config ?? {};
}

async function serve(served: Served, health: HealthRegistry, socketPath: string): Promise<GrpcServer> {
  const { service, implementation } = createHealthService(health);
  const methods = new Map([...served.methods, ...bindService(service, implementation, KERNEL_DOMAIN)]);
  const server = new GrpcServer({
    target: new LocalTarget(methods),
    identify: () => undefined,
    maxMessageBytes: MAX_MESSAGE_BYTES,
  });
  for (const [path, { kind }] of methods) server.expose(path, kind);
  await server.listenUnix(socketPath);
  return server;
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

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
