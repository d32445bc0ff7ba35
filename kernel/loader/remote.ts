import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Logger, Metrics } from '../../sdk/index.ts';
import { LinkTransport } from '../kernel-link.ts';
import { ReflectedServer } from '../link/reflected-server.ts';
import { type RemoteSettings, weightRules } from '../fleet/remote-settings.ts';
import { addressSources } from '../fleet/addresses.ts';
import { Balancer } from '../fleet/balancer.ts';
import { ForwardTarget } from './forward-target.ts';
import type { Started } from './inline.ts';
import type { Instance, InstanceLoad } from './instance.ts';
import { shippedServices } from './proto/shipped-services.ts';
import { startLimitMs } from './time-limits.ts';

/** Input of {@link startRemote}. */
export interface RemoteStart {
  readonly manifest: Manifest;
  /** Folder with its `.proto` text, if it ships any. */
  readonly directory: string;
  /** What the operator says of the addresses. */
  readonly settings: RemoteSettings | undefined;
  readonly load: InstanceLoad;
  readonly log: Logger;
  /** The kernel's own. */
  readonly metrics: Metrics;
}

const CHECK_INTERVAL_MS = 5_000;
const CHECK_FAILURES = 3;

/** Time between two looks at a name, in milliseconds: as often as Envoy looks. */
const RESOLVE_INTERVAL_MS = 5_000;

/**
 * Connects to a plugin that runs elsewhere and waits until one of its addresses serves.
 *
 * @remarks Anything that serves the manifest's services over gRPC will do, another kernel too. What it serves is read
 * by reflection unless the manifest ships `.proto` text.
 * @throws REMOTE_MISCONFIGURED, REMOTE_UNREACHABLE, PROTO_TEXT_INVALID, SERVICE_UNDESCRIBED, or why reflection failed.
 */
export async function startRemote(start: RemoteStart): Promise<Started> {
  const { manifest, directory, settings, load, log, metrics } = start;
  const balancer = new Balancer({
    pluginId: manifest.id,
    sources: addressSources(manifest, settings),
    resolveIntervalMs: settings?.resolveIntervalMs ?? RESOLVE_INTERVAL_MS,
    rules: {
      services: [...new Set(manifest.provides.map(({ service }) => service))],
      checkIntervalMs: checkIntervalMs(manifest),
      checkFailures: manifest.probes?.healthFailures || CHECK_FAILURES,
      weights: weightRules(settings),
    },
    log,
    metrics,
  });
  try {
    await balancer.ready(startLimitMs(manifest));
    const shipped = await shippedServices(manifest, directory);
    const services = shipped.length > 0 ? shipped : await describe(manifest, balancer);
    balancer.learn(services);
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
