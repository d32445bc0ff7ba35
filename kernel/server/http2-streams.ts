import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
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

/** Path under which calls of methods that are not registered are handled; paths of methods begin with a slash. */
export const UNKNOWN_METHOD = 'unknown-method';

/** Metadata in which such a call keeps the path that it came for. */
export const PATH_HEADER = 'lamella-path';

const tended: WeakSet<object> = new WeakSet();

/**
 * Repairs on every call of a server, before grpc-js and after it.
 *
 * @remarks A `grpc-timeout` above 2^31 ms (596 hours) wraps to a negative number in grpc-js and the call fails at once, so
 * such deadlines are dropped before it reads them. It has no handler for methods that are not registered, so they are sent to
 * one that is. And Node keeps calls that have ended until the next full collection,
 * for the reason told at {@link IndexedSet}; without listeners they keep nothing else. All of it has to be done where no
 * public hook comes, so this listens on the HTTP/2 servers, which grpc-js keeps in a private field. Nothing of grpc-js
 * is changed; if the field goes away, so do the repairs, and their tests fail.
 *
 * @param isRegistered - Whether a path has a handler of its own; left out, unknown ones are refused by grpc-js.
 */
export function tendStreams(server: Server, isRegistered?: (path: string) => boolean): void {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  if (!(servers instanceof Map)) return;
  for (const http2Server of servers.keys() as Iterable<Http2Server>) {
    if (tended.has(http2Server)) continue;
    tended.add(http2Server);
    http2Server.prependListener('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      if (isTooLong(headers['grpc-timeout'])) delete headers['grpc-timeout'];
      stream.on('close', release);
      const path = headers[':path'] ?? '';
      if (isRegistered?.(path) !== false) return;
      headers[PATH_HEADER] = path;
      headers[':path'] = UNKNOWN_METHOD;
    });
  }
}

/** Whoever listens for the same event is still told: who is told is settled before the first one is. */
function release(this: ServerHttp2Stream): void {
  this.removeAllListeners();
}

function isTooLong(header: unknown): boolean {
  if (typeof header !== 'string') return false;
  const match = TIMEOUT.exec(header);
  if (match === null) return false;
  return Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0) > TIMEOUT_LIMIT_MS;
}
