import { type DeclaredError, codeName } from 'lamella/sdk';
import { ConsoleRequestInvalid } from './errors.ts';

/** A JSON object from outside; nothing of it is known. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** 784 numbers of three digits with commas take 3 KiB; the rest is room. */
const MAX_BODY_BYTES = 16_384;

const HTTP_STATUS: Readonly<Record<string, number>> = {
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  FAILED_PRECONDITION: 409,
  ABORTED: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
  CANCELLED: 499,
  INTERNAL: 500,
  DATA_LOSS: 500,
  UNKNOWN: 500,
};

/** An answer in JSON that nobody keeps. */
export function jsonResponse(
  value: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    },
  });
}

/** The answer for an error that its author meant to be seen. */
export function errorResponse(error: DeclaredError): Response {
  const retry: Readonly<Record<string, string>> =
    error.retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(error.retryAfterMs / 1_000)) };
  const status = HTTP_STATUS[codeName(error.code)] ?? 400;
  return jsonResponse({ error: error.message, reason: error.reason }, status, retry);
}

/** True for a body that a page of another site cannot send without asking first (CORS), which is never granted. */
export function isJsonRequest(request: Request): boolean {
  return /^application\/json\s*(;|$)/i.test(request.headers.get('content-type') ?? '');
}

/**
 * Reads a small JSON object and stops reading when it gets too large.
 *
 * @throws CONSOLE_REQUEST_INVALID
 */
export async function readJsonObject(request: Request): Promise<JsonObject> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of request.body ?? []) {
    const bytes = part as Uint8Array;
    sizeBytes += bytes.byteLength;
    if (sizeBytes > MAX_BODY_BYTES) throw invalid(`the body is larger than ${MAX_BODY_BYTES} bytes`);
    parts.push(bytes);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)));
  } catch {
    throw invalid('the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('the body must be a JSON object');
  }
  return value as JsonObject;
}

/** Makes the error for a request that cannot be read. */
export function invalid(problem: string): DeclaredError {
  return new ConsoleRequestInvalid({ problem });
}
