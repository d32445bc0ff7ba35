import { durationMs } from '@bufbuild/protobuf/wkt';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';

/** Time a plugin gets to become healthy when its manifest does not say, in milliseconds. */
const START_LIMIT_MS = 30_000;

/** Time that running calls get when the manifest does not say, in milliseconds. */
const DRAIN_LIMIT_MS = 30_000;

/** Time a plugin gets from start to ready, in milliseconds. */
export function startLimitMs({ probes }: Manifest): number {
  return probes?.startTimeout === undefined ? START_LIMIT_MS : durationMs(probes.startTimeout);
}

/** Time that calls get to end when their instance goes out of service, in milliseconds. */
export function drainLimitMs({ probes }: Manifest): number {
  return probes?.drainTimeout === undefined ? DRAIN_LIMIT_MS : durationMs(probes.drainTimeout);
}
