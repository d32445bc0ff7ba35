import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { type CallHeaders, CODES, Code } from '../../sdk/index.ts';
import { StatusError } from '../status-error.ts';

/** Headers of the protocol itself; everything else is the caller's metadata. */
const RESERVED = new Set(['te', 'content-type', 'user-agent', 'grpc-timeout', 'grpc-encoding', 'grpc-accept-encoding', 'accept-encoding', 'host', 'connection']);

/** Request headers of one call. */
export function requestHeaders(
  path: string,
  headers: CallHeaders | undefined,
  deadlineMs: number | undefined,
): OutgoingHttpHeaders {
  const out: OutgoingHttpHeaders = {
    ':method': 'POST',
    ':path': path,
    ':scheme': 'http',
    // Every language accepts this name on a socket, while an encoded path is refused by some.
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  if (deadlineMs !== undefined) out['grpc-timeout'] = timeout(deadlineMs - Date.now());
  for (const [name, value] of headers ?? []) {
    if (name.startsWith(':') || RESERVED.has(name)) continue;
    out[name] = typeof value === 'string' ? value : Buffer.from(value).toString('base64');
  }
  return out;
}

/** Eight digits at most, so longer times need a coarser unit. */
function timeout(leftMs: number): string {
  const ms = Math.max(0, Math.ceil(leftMs));
  if (ms < 1e8) return `${ms}m`;
  return `${Math.min(Math.ceil(ms / 1_000), 99_999_999)}S`;
}

/** Metadata of an answer, without the protocol's own keys. */
export function toCallHeaders(headers: IncomingHttpHeaders): CallHeaders {
  const out: CallHeaders = new Map();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || RESERVED.has(name) || isStatus(name)) continue;
    const text = Array.isArray(value) ? (value[0] ?? '') : value;
    out.set(name, name.endsWith('-bin') ? Buffer.from(text, 'base64') : text);
  }
  return out;
}

function isStatus(name: string): boolean {
  return name === 'grpc-status' || name === 'grpc-message' || name === 'grpc-status-details-bin' || name === 'date';
}

/** The error a call ended with, or `undefined` for OK. */
export function statusOf(trailers: IncomingHttpHeaders): StatusError | undefined {
  const code = Number(single(trailers['grpc-status']));
  if (code === Code.OK) return undefined;
  const details = single(trailers['grpc-status-details-bin']);
  return new StatusError({
    code: isCode(code) ? code : Code.UNKNOWN,
    message: decodeMessage(single(trailers['grpc-message']) ?? ''),
    detailsBin: details === undefined ? undefined : Buffer.from(details, 'base64'),
    trailers: toCallHeaders(trailers),
  });
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function isCode(code: number): code is Code {
  return Object.values(CODES).some((known) => known === code);
}

/** `grpc-message` is percent-encoded; what is not valid is kept as it came. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Status for an answer without `grpc-status`, by the table of the gRPC specification. */
export function statusOfHttp(status: number): Code {
  const codes: Readonly<Record<number, Code>> = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
  };
  return codes[status] ?? Code.UNKNOWN;
}
