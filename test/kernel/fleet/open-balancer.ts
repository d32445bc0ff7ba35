import { Balancer } from '../../../kernel/fleet/balancer.ts';
import type { WeightRules } from '../../../kernel/fleet/load-weight.ts';
import { addressSources } from '../../../kernel/fleet/addresses.ts';
import { MetricsRegistry } from '../../../kernel/metrics.ts';
import { create } from '@bufbuild/protobuf';
import type { Logger, Metrics } from '../../../sdk/index.ts';
import { ManifestSchema } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';

/** A balancer over addresses all of which serve when it is returned. */
export async function openBalancer(
  addresses: readonly string[],
  metrics: Metrics = new MetricsRegistry().kernel,
  weights?: WeightRules,
): Promise<Balancer> {
  let serving = 0;
  let allServe: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    allServe = resolve;
  });
  const ignore = (): void => undefined;
  const log: Logger = {
    debug: ignore,
    warn: ignore,
    error: ignore,
    info: (message) => {
      if (message !== 'an address serves') return;
      serving += 1;
      if (serving === addresses.length) allServe();
    },
  };
  const balancer = new Balancer({
    pluginId: 'example.echo',
    sources: addressSources(create(ManifestSchema, { id: 'example.echo' }), { addresses }),
    resolveIntervalMs: 1_000,
    rules: { services: [EchoService.typeName], checkIntervalMs: 1_000, checkFailures: 3, weights },
    log,
    metrics,
  });
  balancer.learn([EchoService]);
  await ready;
  return balancer;
}
