import { type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../proto/gen/google/rpc/status_pb.ts';
import { type CallHeaders, Code, DeclaredError, isDeclaredError } from '../../sdk/index.ts';
import { KERNEL_DOMAIN } from '../kernel-error.ts';
import { StatusError } from '../status-error.ts';
import { detail, detailsOf, packStatus, statusMessage } from './status-details.ts';

/** A status as it goes on the wire. */
export interface WireStatus {
  readonly code: Code;
  readonly message: string;
  /** Serialised `google.rpc.Status` for `grpc-status-details-bin`. */
  readonly detailsBin: Uint8Array | undefined;
  readonly trailers: CallHeaders;
}

/** What callers are told of errors that nobody declared; the cause stays in the log. */
const INTERNAL_TEXT = 'The server failed in a way nobody expected; its log says more under the request id';

/**
 * Turns any error into a status: declared ones with their details, statuses from other processes unchanged, aborted
 * calls as CANCELLED, everything else as INTERNAL with fixed text.
 */
export function toStatus(error: unknown, requestId: () => string): WireStatus {
  if (isDeclaredError(error)) return declared(error);
  if (error instanceof StatusError) {
    const { code, message, detailsBin, trailers } = error;
    return { code, message, detailsBin, trailers };
  }
  const ended = endedEarly(error);
  if (ended !== undefined) return ended;
  const id = requestId();
  return status({ code: Code.INTERNAL, message: `${INTERNAL_TEXT} ${id}.` }, [
    detail(RequestInfoSchema, { requestId: id }),
  ]);
}

/** The status of a call that its own signal ended, by what the signal threw. */
function endedEarly(error: unknown): WireStatus | undefined {
  const name = error instanceof Error ? error.name : '';
  if (name === 'AbortError') return bare(Code.CANCELLED, 'The call was cancelled.');
  if (name === 'TimeoutError') {
    return bare(
      Code.DEADLINE_EXCEEDED,
      'The time for the call was over before it was done; allow it more time.',
    );
  }
  return undefined;
}

function bare(code: Code, message: string): WireStatus {
  return { code, message, detailsBin: undefined, trailers: new Map() };
}

function declared(error: DeclaredError): WireStatus {
  const { code, message, retryAfterMs, domain } = error;
  const details = detailsOf(error, domain === '' ? KERNEL_DOMAIN : domain);
  const pushback = new Map(
    retryAfterMs === undefined ? [] : [['grpc-retry-pushback-ms', String(Math.ceil(retryAfterMs))] as const],
  );
  return { ...status({ code, message: statusMessage(message) }, details), trailers: pushback };
}

function status({ code, message }: { code: Code; message: string }, details: Any[]): WireStatus {
  return { code, message, detailsBin: packStatus(code, message, details), trailers: new Map() };
}

/** Gives a status from the wire back its declared reason, so that callers can compare reasons. */
export function fromStatus(error: unknown): unknown {
  if (!(error instanceof StatusError) || error.detailsBin === undefined) return error;
  const details = readDetails(error.detailsBin);
  const info = find(details, ErrorInfoSchema);
  if (info === undefined) return error;
  const delay = find(details, RetryInfoSchema)?.retryDelay;
  return new DeclaredError({
    reason: info.reason,
    code: error.code,
    message: error.message,
    metadata: info.metadata,
    domain: info.domain,
    cause: error,
    ...(delay === undefined ? {} : { retryAfterMs: Number(delay.seconds) * 1_000 + delay.nanos / 1e6 }),
    violations: (find(details, BadRequestSchema)?.fieldViolations ?? []).map(({ field, description }) => ({
      field,
      description,
    })),
  });
}

function readDetails(bytes: Uint8Array): readonly Any[] {
  try {
    return fromBinary(StatusSchema, bytes).details;
  } catch {
    // Details are an extra: a status whose details are broken still has its code and message.
    return [];
  }
}

function find<Desc extends DescMessage>(
  details: readonly Any[],
  schema: Desc,
): ReturnType<typeof anyUnpack<Desc>> | undefined {
  for (const any of details) {
    const message = anyUnpack(any, schema);
    if (message !== undefined) return message;
  }
  return undefined;
}
