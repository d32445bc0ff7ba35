import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { LinkClient } from '../link/link-client.ts';
import type { Vitals } from './vitals.ts';

/** Between two health checks when the manifest does not say, in milliseconds. */
const CHECK_INTERVAL_MS = 5_000;

/** Failed checks in a row that count when the manifest does not say. */
const CHECK_FAILURES = 3;

/** Longest wait for an answer, in milliseconds. */
const ANSWER_LIMIT_MS = 5_000;

const CHECK_PATH = '/grpc.health.v1.Health/Check';
const CHECK: Uint8Array = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema));

/** How often a plugin's health is asked for, and how many bad answers count. */
function healthRules({ probes }: Manifest): { intervalMs: number; failures: number } {
  const interval = probes?.healthInterval;
  return {
    intervalMs:
      interval === undefined ? CHECK_INTERVAL_MS : Number(interval.seconds) * 1_000 + interval.nanos / 1e6,
    failures: probes?.healthFailures || CHECK_FAILURES,
  };
}

/**
 * Asks a plugin process for its health until the link closes.
 *
 * @remarks No answer counts for nothing: a process that computes is busy, not ill, and one that has ended is noticed
 * by its exit.
 */
export function watchHealth(client: LinkClient, manifest: Manifest, vitals: Vitals): void {
  const { intervalMs, failures } = healthRules(manifest);
  let failed = 0;
  let isClosed = false;
  const check = async (): Promise<void> => {
    const isServing = await asked(client);
    if (isClosed) return;
    if (isServing !== undefined) failed = isServing ? 0 : failed + 1;
    if (failed === 0) vitals.set('health', '');
    else if (failed >= failures) vitals.set('health', 'its health service says NOT_SERVING');
    timer = setTimeout(() => void check(), intervalMs).unref();
  };
  let timer = setTimeout(() => void check(), intervalMs).unref();
  void client.closed.then(() => {
    isClosed = true;
    clearTimeout(timer);
  });
}

/** Whether it serves; `undefined` when it does not say. */
async function asked(client: LinkClient): Promise<boolean | undefined> {
  try {
    const { message } = await client.unary(CHECK_PATH, CHECK, { deadlineMs: Date.now() + ANSWER_LIMIT_MS });
    const { status } = fromBinary(HealthCheckResponseSchema, message);
    return status === HealthCheckResponse_ServingStatus.SERVING;
  } catch {
    return undefined;
  }
}
