import { Code, isDeclaredError } from 'lamella/sdk';

/** What a failed request tells of its endpoint and of trying again. */
export interface Failure {
  readonly code: Code;
  /** Whether nobody's code has seen the request, so that it cannot run twice. */
  readonly wasNeverSent: boolean;
  /** Whether the endpoint is to blame, and not the caller. */
  readonly isFault: boolean;
  /** What the server said about trying again: the delay in milliseconds, `Infinity` for never. */
  readonly pushbackMs: number | undefined;
  readonly message: string;
}

/** Reasons of the kernel and of our inference service for requests that did not begin. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  'LINK_UNREACHABLE',
  'LINK_REFUSED',
  'LINK_CLOSED',
  'SERVICE_NOT_FOUND',
  'PLUGIN_NOT_READY',
  'PARKING_FULL',
  'MODEL_UNKNOWN',
  'QUEUE_FULL',
]);

const FAULTS: ReadonlySet<Code> = new Set([Code.UNKNOWN, Code.INTERNAL, Code.UNAVAILABLE, Code.DATA_LOSS]);

/** A request that had this long and was not answered speaks against its endpoint, in milliseconds. */
const LONG_MS = 1_000;

/**
 * Reads an error of a call.
 *
 * @param tookMs - How long the call ran: a deadline that passes at once is the caller's choice.
 */
export function failureOf(error: unknown, tookMs: number): Failure {
  const code = codeOf(error);
  const reason = isDeclaredError(error) ? error.reason : '';
  const isLate = code === Code.DEADLINE_EXCEEDED && tookMs >= LONG_MS;
  return {
    code,
    wasNeverSent: NEVER_SENT.has(reason),
    isFault: FAULTS.has(code) || isLate || lacksModel(error, code),
    pushbackMs: pushbackOf(error),
    message: error instanceof Error ? error.message : 'it failed',
  };
}

/** A model that the endpoint should have; clients and servers of the protocol know the text. */
function lacksModel(error: unknown, code: Code): boolean {
  return code === Code.NOT_FOUND && error instanceof Error && /unknown model/i.test(error.message);
}

/** Servers without declared reasons answer with an error that has a `code` alone. */
function codeOf(error: unknown): Code {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown };
  if (typeof code === 'number' && code > 0 && code <= 16) return code as Code;
  if (name === 'AbortError') return Code.CANCELLED;
  return name === 'TimeoutError' ? Code.DEADLINE_EXCEEDED : Code.UNKNOWN;
}

interface WithTrailers {
  readonly trailers?: ReadonlyMap<string, unknown>;
}

/** Anything that is not a delay means never (gRFC A6). What the server sent is a cause of what it was made into. */
function pushbackOf(error: unknown): number | undefined {
  for (
    let each = error as WithTrailers | undefined;
    each instanceof Error;
    each = each.cause as WithTrailers | undefined
  ) {
    const text = each.trailers?.get('grpc-retry-pushback-ms');
    if (text === undefined) continue;
    return typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : Infinity;
  }
  return undefined;
}
