import type { SpanContext } from '@opentelemetry/api';

/** Header of the W3C Trace Context. */
const TRACEPARENT = 'traceparent';

/** Single header of Zipkin's B3, for callers who know no other. */
const B3 = 'b3';

const TRACEPARENT_VALUE = /^(?!ff)([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const B3_VALUE = /^([\da-f]{16}|[\da-f]{32})-([\da-f]{16})(?:-([01d]))?(?:-[\da-f]{16})?$/;

const SAMPLED = 1;

/** The span of the caller, if its headers name a valid one. */
export function readParent(read: (name: string) => unknown): SpanContext | undefined {
  const context = fromTraceparent(read(TRACEPARENT)) ?? fromB3(read(B3));
  const isValid = context !== undefined && !/^0+$/.test(context.traceId) && !/^0+$/.test(context.spanId);
  return isValid ? context : undefined;
}

function fromTraceparent(value: unknown): SpanContext | undefined {
  const match = typeof value === 'string' ? TRACEPARENT_VALUE.exec(value) : null;
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', rest] = match;
  // Later versions may say more; the first one may not.
  if (version === '00' && rest !== undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & SAMPLED, isRemote: true };
}

function fromB3(value: unknown): SpanContext | undefined {
  const match = typeof value === 'string' ? B3_VALUE.exec(value) : null;
  if (match === null) return undefined;
  const [, traceId = '', spanId = '', sampling = '1'] = match;
  const traceFlags = sampling === '0' ? 0 : SAMPLED;
  return { traceId: traceId.padStart(32, '0'), spanId, traceFlags, isRemote: true };
}

/** Headers by which the next hop knows this span; B3 only where it was spoken before. */
export function parentHeaders(
  { traceId, spanId, traceFlags }: SpanContext,
  speaksB3: boolean,
): readonly (readonly [string, string])[] {
  const flags = traceFlags.toString(16).padStart(2, '0');
  const headers: (readonly [string, string])[] = [[TRACEPARENT, `00-${traceId}-${spanId}-${flags}`]];
  if (speaksB3) headers.push([B3, `${traceId}-${spanId}-${traceFlags & SAMPLED}`]);
  return headers;
}

/** Whether a caller sent B3. */
export function speaksB3(read: (name: string) => unknown): boolean {
  return typeof read(B3) === 'string';
}
