import { CODES, Code, codeName, DeclaredError, isDeclaredError } from '../../sdk/index.ts';

/** HTTP status of each gRPC code, as google.rpc.Code documents it (googleapis `google/rpc/code.proto`). */
const HTTP_STATUS: Readonly<Record<Code, number>> = {
  [CODES.OK]: 200,
  [CODES.CANCELLED]: 499,
  [CODES.UNKNOWN]: 500,
  [CODES.INVALID_ARGUMENT]: 400,
  [CODES.DEADLINE_EXCEEDED]: 504,
  [CODES.NOT_FOUND]: 404,
  [CODES.ALREADY_EXISTS]: 409,
  [CODES.PERMISSION_DENIED]: 403,
  [CODES.RESOURCE_EXHAUSTED]: 429,
  [CODES.FAILED_PRECONDITION]: 400,
  [CODES.ABORTED]: 409,
  [CODES.OUT_OF_RANGE]: 400,
  [CODES.UNIMPLEMENTED]: 501,
  [CODES.INTERNAL]: 500,
  [CODES.UNAVAILABLE]: 503,
  [CODES.DATA_LOSS]: 500,
  [CODES.UNAUTHENTICATED]: 401,
};

/** Errors of HTTP itself have statuses that no gRPC code maps to. */
const STATUS_OF_REASON: Readonly<Record<string, number>> = {
  HTTP_BODY_TOO_LARGE: 413,
  HTTP_BODY_TIMEOUT: 408,
  HTTP_HOST_REFUSED: 421,
};

/** The HTTP status that fits a gRPC code. */
export function httpStatusOf(code: Code): number {
  return HTTP_STATUS[code];
}

/** The body of every error answer of the listener, in the form of AIP-193. */
export interface HttpErrorBody {
  readonly error: {
    readonly code: number;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
    readonly metadata?: Readonly<Record<string, string>>;
    readonly violations?: readonly { readonly field: string; readonly description: string }[];
    readonly requestId: string;
  };
}

/**
 * The answer for an error that a handler threw. What its author did not declare becomes 500 with fixed text; the cause
 * is for the log only.
 */
export function errorResponse(error: unknown, requestId: string): Response {
  const declared = isDeclaredError(error) ? error : undeclared(requestId);
  const status = STATUS_OF_REASON[declared.reason] ?? httpStatusOf(declared.code);
  const body: HttpErrorBody = {
    error: {
      code: status,
      status: codeName(declared.code),
      reason: declared.reason,
      message: declared.message,
      ...(Object.keys(declared.metadata).length > 0 && { metadata: declared.metadata }),
      ...(declared.violations.length > 0 && { violations: declared.violations }),
      requestId,
    },
  };
  const headers = new Headers({
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  if (status === 401) headers.set('www-authenticate', 'Bearer realm="lamella"');
  if (declared.retryAfterMs !== undefined) {
    headers.set('retry-after', String(Math.ceil(declared.retryAfterMs / 1000)));
  }
  return new Response(JSON.stringify(body), { status, headers });
}

function undeclared(requestId: string): DeclaredError {
  return new DeclaredError({
    reason: 'INTERNAL',
    code: Code.INTERNAL,
    message: `Internal error; the kernel's log has the cause under request id ${requestId}.`,
  });
}
