import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { SampleService } from 'lamella/proto/lamella/serving/v1/sample_service';
import type { Host } from 'lamella/sdk';
import type { MonitorConfig } from '../config.ts';
import type { DriftWatch } from '../drift/drift-watch.ts';
import { PayloadLog } from './payload-log.ts';
import { SampleFeed } from './sample-feed.ts';

/** Samples requests, if the configuration names models; ended with the instance, the last samples written. */
export function startSamples(host: Host, { samples, payloadLog }: MonitorConfig, drift: DriftWatch): void {
  if (samples.length === 0) return;
  const { clock, log, metrics } = host;
  const payloads = new PayloadLog({
    store: host.call(StoreService),
    config: payloadLog,
    clock,
    log,
    metrics,
  });
  const feed = new SampleFeed({
    client: host.call(SampleService),
    samples,
    takers: [payloads, drift],
    log,
  });
  host.own(payloads);
  host.own(feed);
  payloads.start();
  feed.start();
}
