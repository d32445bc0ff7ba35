import type { Server } from '@grpc/grpc-js';

/** Longest `grpc-timeout` that grpc-js 1.14 can hold: it computes milliseconds in 32 signed bits. */
const TIMEOUT_LIMIT_MS = 2 ** 31 - 1;

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

const TIMEOUT = /^(\d{1,8})([HMSmun])$/;

interface StreamEvents {
  prependListener(
    event: 'stream',
    listener: (stream: unknown, headers: Record<string, unknown>) => void,
  ): unknown;
}

const clamped: WeakSet<object> = new WeakSet();

/**
 * Drops deadlines that are too long for grpc-js before it reads them.
 *
 * @remarks A `grpc-timeout` above 2^31 ms (596 hours) wraps to a negative number there and the call fails at once.
 * The header is read in a constructor that no public hook comes before, so this listens on the HTTP/2 servers, which
 * grpc-js keeps in a private field. Nothing of grpc-js is changed; if the field goes away, so does the repair, and
 * the test of it fails.
 */
export function clampDeadlines(server: Server): void {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  if (!(servers instanceof Map)) return;
  for (const http2Server of servers.keys() as Iterable<StreamEvents>) {
    if (clamped.has(http2Server)) continue;
    clamped.add(http2Server);
    http2Server.prependListener('stream', (_stream, headers) => {
      if (isTooLong(headers['grpc-timeout'])) delete headers['grpc-timeout'];
    });
  }
}

function isTooLong(header: unknown): boolean {
  if (typeof header !== 'string') return false;
  const match = TIMEOUT.exec(header);
  if (match === null) return false;
  return Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0) > TIMEOUT_LIMIT_MS;
}
