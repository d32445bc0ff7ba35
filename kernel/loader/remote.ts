import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Logger } from '../../sdk/index.ts';
import { RemoteMisconfigured } from '../errors.ts';
import { LinkTransport } from '../kernel-link.ts';
import type { LinkTarget } from '../link/link-client.ts';
import { ReflectedServer } from '../link/reflected-server.ts';
import type { RemoteSettings } from '../plugin-settings.ts';
import { Balancer } from './balancer.ts';
import { ForwardTarget } from './forward-target.ts';
import type { Started } from './inline.ts';
import type { Instance, InstanceLoad } from './instance.ts';
import { startLimitMs } from './time-limits.ts';

/** Input of {@link startRemote}. */
export interface RemoteStart {
  readonly manifest: Manifest;
  /** What the operator says of the addresses. */
  readonly settings: RemoteSettings | undefined;
  readonly load: InstanceLoad;
  readonly log: Logger;
}

const CHECK_INTERVAL_MS = 5_000;
const CHECK_FAILURES = 3;

/**
 * Connects to a plugin that runs elsewhere and waits until one of its addresses serves.
 *
 * @remarks Anything that serves the manifest's services over gRPC will do, another kernel too. What it serves is read
 * by reflection unless the manifest ships `.proto` text.
 * @throws REMOTE_MISCONFIGURED, REMOTE_UNREACHABLE, or why reflection failed.
 */
export async function startRemote({ manifest, settings, load, log }: RemoteStart): Promise<Started> {
  const balancer = new Balancer({
    pluginId: manifest.id,
    targets: targetsOf(manifest, settings),
    rules: {
      checkIntervalMs: checkIntervalMs(manifest),
      checkFailures: manifest.probes?.healthFailures || CHECK_FAILURES,
    },
    log,
  });
  try {
    await balancer.ready(startLimitMs(manifest));
    const services = manifest.protos.length > 0 ? [] : await describe(manifest, balancer);
    return { instance: new RemoteInstance(manifest, load, balancer), services };
  } catch (error) {
    await balancer.close();
    throw error;
  }
}

function checkIntervalMs({ probes }: Manifest): number {
  const interval = probes?.healthInterval;
  return interval === undefined ? CHECK_INTERVAL_MS : Number(interval.seconds) * 1_000 + interval.nanos / 1e6;
}

/** @throws REMOTE_MISCONFIGURED */
function targetsOf(manifest: Manifest, settings: RemoteSettings | undefined): LinkTarget[] {
  const addresses = settings?.addresses ?? manifest.entry?.addresses ?? [];
  const refuse = (problem: string): never => {
    throw new RemoteMisconfigured({ plugin: manifest.id, problem });
  };
  if (addresses.length === 0) refuse('neither its manifest nor the configuration names addresses');
  return addresses.map((address) => {
    const end = address.lastIndexOf(':');
    const host = address.slice(0, end).replace(/^\[(.*)\]$/, '$1');
    const port = Number(address.slice(end + 1));
    if (end < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
      refuse(`'${address}' is not host:port`);
    }
    if (settings?.tls === undefined && !isLoopback(host)) {
      refuse(`${address} is not on this machine and has no TLS`);
    }
    return { host, port, tls: settings?.tls };
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

async function describe(manifest: Manifest, balancer: Balancer): Promise<DescService[]> {
  const server = new ReflectedServer(new LinkTransport(balancer));
  const found = await Promise.all(
    manifest.provides.map(async ({ service }) => (await server.typesOf(service)).getService(service)),
  );
  return found.filter((service) => service !== undefined);
}

/** A plugin that runs elsewhere: the kernel neither starts nor ends it, so it never crashes either. */
class RemoteInstance implements Instance {
  readonly pluginId: string;
  readonly version: string;
  readonly isolation = 'REMOTE' as const;
  readonly digest = '';
  readonly pid: undefined = undefined;
  readonly http: undefined = undefined;
  readonly load: InstanceLoad;
  readonly target: ForwardTarget;
  readonly crashed: Promise<string> = new Promise(() => undefined);
  readonly #balancer: Balancer;

  constructor(manifest: Manifest, load: InstanceLoad, balancer: Balancer) {
    this.load = load;
    this.pluginId = manifest.id;
    this.version = manifest.version;
    this.#balancer = balancer;
    this.target = new ForwardTarget(manifest.id);
    this.target.attach(balancer);
  }

  async stop(): Promise<void> {
    await this.#balancer.close();
  }
}
