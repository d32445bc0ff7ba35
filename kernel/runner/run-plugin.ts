import type { Logger } from '../../sdk/index.ts';
import { EncodingTransport } from '../client.ts';
import type { PluginGuard } from '../capabilities/guard.ts';
import type { Served } from '../host.ts';
import { KERNEL_DOMAIN } from '../kernel-error.ts';
import { LinkTransport } from '../kernel-link.ts';
import { LinkClient } from '../link/link-client.ts';
import { bundleSource, takeBundle } from '../loader/bundle.ts';
import { Disposer } from '../loader/disposer.ts';
import { GrpcServer } from '../server/grpc-server.ts';
import { createHealthService, HealthRegistry } from '../server/health.ts';
import type { KernelLogger } from '../logger.ts';
import { LmdbStorage } from '../storage.ts';
import { bindService, LocalTarget } from '../target.ts';
import { KernelMetrics } from './kernel-metrics.ts';
import { explainDenial } from './denied-access.ts';
import { LoggedTarget } from './logged-target.ts';
import { startPlugin } from './start-plugin.ts';

/** What the kernel tells a plugin process by its environment. */
export interface RunnerEnvironment {
  readonly directory: string;
  readonly socketPath: string;
  readonly kernelSocket: string;
  readonly token: string;
  /** The plugin's code, as the kernel has built it. */
  readonly bundlePath: string;
}

/** Time running calls get when the process is asked to stop, in milliseconds. */
const DRAIN_MS = 2_000;

/** Largest message taken from the kernel, in bytes; the kernel has checked what comes from outside. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;

/** Serves a plugin until the signal: start, announce, healthy; then drain and release. */
export async function runPlugin(
  environment: RunnerEnvironment,
  log: KernelLogger,
  stop: AbortSignal,
): Promise<void> {
  const link = await LinkClient.connect({ socketPath: environment.kernelSocket });
  const disposer = new Disposer();
  const started = startPlugin({
    transport: new EncodingTransport(new LinkTransport(link, environment.token)),
    log,
    disposer,
    signal: stop,
    bundle: (manifest) => takeBundle(bundleSource(manifest, environment.directory), environment.bundlePath),
    storage: (directory) => disposer.own(new LmdbStorage(directory)),
    metrics: ({ id }, kernel) => new KernelMetrics({ pluginId: id, kernel, log, signal: stop }),
  });
  const { served, guard, announce } = await started.catch(async (error: unknown) => {
    await disposer.dispose(log);
    throw error;
  });
  const health = new HealthRegistry();
  const server = await serve(served, health, { log, guard, socketPath: environment.socketPath });
  await announce();
  for (const name of ['', ...served.services.map(({ typeName }) => typeName)]) health.set(name, 'SERVING');
  await aborted(stop);
  await server.close(DRAIN_MS);
  await disposer.dispose(log);
  await link.close();
}

interface Serving {
  readonly log: Logger;
  readonly guard: PluginGuard;
  readonly socketPath: string;
}

async function serve(
  served: Served,
  health: HealthRegistry,
  { log, guard, socketPath }: Serving,
): Promise<GrpcServer> {
  const { service, implementation } = createHealthService(health);
  const own = bindService(service, { implementation, domain: KERNEL_DOMAIN });
  const methods = new Map([...served.methods, ...own]);
  const target = new LoggedTarget(log);
  target.attach(new LocalTarget(methods), (error) => explainDenial(error, guard));
  const server = new GrpcServer({
    target,
    identify: () => undefined,
    maxMessageBytes: MAX_MESSAGE_BYTES,
    log,
  });
  for (const [path, { kind }] of methods) server.expose(path, kind);
  await server.listenUnix(socketPath);
  return server;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
