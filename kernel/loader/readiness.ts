import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import { LinkClient } from '../link/link-client.ts';

/** Input of {@link waitUntilHealthy}. */
export interface Readiness {
  readonly pluginId: string;
  readonly socketPath: string;
  readonly limitMs: number;
  /** Resolves when the process ends before it is ready. */
  readonly exited: Promise<string>;
}

/** Pause between two tries; a socket gives no event when it begins to listen. In milliseconds. */
const RETRY_MS = 15;

/** Longest wait for a connection, in milliseconds: a local socket answers at once or never. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Connects to a plugin's socket as soon as it listens and waits until its health service says SERVING.
 *
 * @throws Error that says whether the process ended or never became healthy, with the last obstacle.
 */
export async function waitUntilHealthy(readiness: Readiness): Promise<LinkClient> {
  const untilMs = performance.now() + readiness.limitMs;
  let ended: string | undefined;
  void readiness.exited.then((how) => {
    ended = how;
  });
  let obstacle: string | undefined;
  while (performance.now() < untilMs && ended === undefined) {
    const tried = await tryOnce(readiness, untilMs);
    if (tried instanceof LinkClient) return tried;
    // A try that the end of the time cut short tells less than one that got an answer.
    if (obstacle === undefined || performance.now() < untilMs) obstacle = tried;
    await pause(RETRY_MS);
  }
  if (ended !== undefined) throw new Error(`its process ended before it was ready (${ended})`);
  throw new Error(
    `it was not healthy within ${readiness.limitMs} ms: ${obstacle ?? 'there was no time to try'}`,
  );
}

async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** A connection to a healthy plugin, or what stands in the way. */
async function tryOnce({ pluginId, socketPath }: Readiness, untilMs: number): Promise<LinkClient | string> {
  let client: LinkClient | undefined;
  try {
    const connectTimeoutMs = Math.max(1, Math.min(CONNECT_TIMEOUT_MS, untilMs - performance.now()));
    client = await LinkClient.connect({ socketPath }, { name: `plugin '${pluginId}'`, connectTimeoutMs });
    const request = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema));
    const options = { deadlineMs: Date.now() + Math.max(1, untilMs - performance.now()) };
    const { message } = await client.unary('/grpc.health.v1.Health/Check', request, options);
    const { status } = fromBinary(HealthCheckResponseSchema, message);
    if (status === HealthCheckResponse_ServingStatus.SERVING) return client;
    await client.close();
    return 'its health service does not answer SERVING';
  } catch (error) {
    await client?.close();
    const { message, cause } = error as Error;
    const isThere = (cause as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT';
    return isThere ? message : 'it does not listen on the socket that LAMELLA_PLUGIN_SOCKET names';
  }
}
