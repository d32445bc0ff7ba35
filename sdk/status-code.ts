/**
 * The gRPC status codes by name.
 *
 * @remarks Source: https://grpc.github.io/grpc/core/md_doc_statuscodes.html.
 */
export const CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Name of a gRPC status code. */
export type CodeName = keyof typeof CODES;

/** Number of a gRPC status code. */
export type Code = (typeof CODES)[CodeName];

/** Short alias under which plugins write `Code.NOT_FOUND`. */
export const Code: typeof CODES = CODES;
