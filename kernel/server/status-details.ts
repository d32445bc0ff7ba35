import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type Any, anyIs, anyPack, anyUnpack, durationFromMs } from '@bufbuild/protobuf/wkt';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from '../../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../proto/gen/google/rpc/status_pb.ts';
import { Code, type DeclaredError } from '../../sdk/index.ts';

/**
 * Bounds of what goes into trailers. Many clients take 8 KiB of metadata and no more, and the message travels twice
 * (percent-encoded, and in the details), so a hostile name in a request must not come back at its full length.
 */
const MAX_MESSAGE_BYTES = 3000;
const MAX_DETAILS_BYTES = 3500;
const MAX_VALUE = 200;
const MAX_ENTRIES = 10;

/** Text cut to what `grpc-message` may take once it is percent-encoded; never cut within a character. */
export function statusMessage(text: string): string {
  if (text.length <= MAX_MESSAGE_BYTES && /^[ -~]*$/.test(text)) return text;
  let bytes = 0;
  let length = 0;
  for (const character of text) {
    bytes += /^[ -~]$/.test(character) ? 1 : 3 * Buffer.byteLength(character);
    if (bytes > MAX_MESSAGE_BYTES) return wellFormed(`${text.slice(0, length)}…`);
    length += character.length;
  }
  return wellFormed(text);
}

/** Serialises a status; details that make it too large are dropped, all but reason and retry time. */
export function packStatus(code: Code, message: string, details: readonly Any[]): Uint8Array {
  const packed = toBinary(StatusSchema, create(StatusSchema, { code, message, details: [...details] }));
  if (packed.byteLength <= MAX_DETAILS_BYTES) return packed;
  const small = details.flatMap((any) => {
    const info = anyUnpack(any, ErrorInfoSchema);
    if (info !== undefined) return [detail(ErrorInfoSchema, { reason: info.reason, domain: info.domain })];
    return anyIs(any, RetryInfoSchema) ? [any] : [];
  });
  return toBinary(StatusSchema, create(StatusSchema, { code, message, details: small }));
}

/** Packs one detail. */
export function detail<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

/** The `google.rpc` details that fit an error, each type at most once. */
export function detailsOf(error: DeclaredError, domain: string): Any[] {
  const entries = Object.entries(error.metadata).slice(0, MAX_ENTRIES);
  const metadata = Object.fromEntries(
    entries.map(([key, value]) => [cut(key, 64), cut(String(value), MAX_VALUE)]),
  );
  const details = [detail(ErrorInfoSchema, { reason: error.reason, domain, metadata })];
  if (error.retryAfterMs !== undefined) {
    details.push(detail(RetryInfoSchema, { retryDelay: durationFromMs(Math.ceil(error.retryAfterMs)) }));
  }
  if (error.violations.length > 0) {
    const fieldViolations = error.violations.slice(0, MAX_ENTRIES).map(({ field, description }) => ({
      field: cut(field, MAX_VALUE),
      description: cut(description, MAX_VALUE),
    }));
    details.push(detail(BadRequestSchema, { fieldViolations }));
  }
  const special = detailOfCode(error, metadata, domain);
  if (special !== undefined) details.push(special);
  return details;
}

function detailOfCode(
  { code, reason, message }: DeclaredError,
  metadata: Readonly<Record<string, string>>,
  domain: string,
): Any | undefined {
  // The first field of a definition is what the error is about, by convention of defineError.
  const [subject] = Object.entries(metadata);
  const description = cut(message, MAX_VALUE);
  switch (code) {
    case Code.NOT_FOUND:
    case Code.ALREADY_EXISTS:
      return subject === undefined
        ? undefined
        : detail(ResourceInfoSchema, { resourceType: subject[0], resourceName: subject[1], description });
    case Code.FAILED_PRECONDITION:
      return detail(PreconditionFailureSchema, {
        violations: [{ type: reason, subject: subject?.[1] ?? domain, description }],
      });
    case Code.RESOURCE_EXHAUSTED:
      return detail(QuotaFailureSchema, { violations: [{ subject: subject?.[1] ?? domain, description }] });
    default:
      return undefined;
  }
}

function cut(text: string, length: number): string {
  return wellFormed(text.length > length ? `${text.slice(0, length - 1)}…` : text);
}

/** A lone surrogate, cut in half or sent by an attacker, is no UTF-8. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
