import { isEncoding, type MessageEncoding } from './inflate.ts';
import type { HeaderBlock } from '../../wire/http2/protocol.ts';

/** What the header block of a call says; calls that say the same share one. */
export interface RequestHead {
  readonly block: HeaderBlock;
  readonly path: string;
  /** HTTP status with which a request that is no gRPC is refused. */
  readonly httpRefusal: string | undefined;
  /**
   * Time that the call has, in milliseconds: what the client gives it, or a proxy on the way, if that is less. Anybody may
   * say it: it only ever shortens one's own call. `NaN` when it cannot be read.
   */
  readonly leftMs: number | undefined;
  /** How messages may be compressed; `unknown` is a way nobody here knows. */
  readonly encoding: MessageEncoding | 'identity' | 'unknown';
}

/** Reads a header block (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Requests"). */
export function readHead(block: HeaderBlock): RequestHead {
  return {
    block,
    path: block[':path'] ?? '',
    httpRefusal: httpRefusal(block),
    leftMs: leftMs(block),
    encoding: encodingOf(block['grpc-encoding']),
  };
}

const CONTENT_TYPE = /^application\/grpc([+;]|$)/;

function httpRefusal(block: HeaderBlock): string | undefined {
  if (block[':method'] !== 'POST') return '405';
  return CONTENT_TYPE.test(block['content-type'] ?? '') ? undefined : '415';
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

const TIMEOUT = /^(\d{1,8})([HMSmun])$/;

/** Longest time that is kept, in milliseconds; anything longer is as good as none and would overflow timers. */
const LIMIT_MS = 2 ** 31 - 1;

/** Time after which Envoy gives up on the call, whatever its client said, in milliseconds. */
const PROXY_TIMEOUT = 'x-envoy-expected-rq-timeout-ms';

function leftMs(block: HeaderBlock): number | undefined {
  const proxy = block[PROXY_TIMEOUT];
  const proxyMs = proxy !== undefined && /^[1-9]\d{0,8}$/.test(proxy) ? Number(proxy) : Infinity;
  const ms = Math.min(timeoutMs(block['grpc-timeout']), proxyMs);
  return ms >= LIMIT_MS ? undefined : ms;
}

function timeoutMs(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const [, digits, unit = ''] = TIMEOUT.exec(text) ?? [];
  return digits === undefined ? Number.NaN : Number(digits) * (UNIT_MS[unit] ?? 0);
}

function encodingOf(name: string | undefined): RequestHead['encoding'] {
  if (name === undefined || name === 'identity') return 'identity';
  return isEncoding(name) ? name : 'unknown';
}
