import type { CallSpan } from 'lamella/sdk';
import type { BatchEntry } from './batch-entry.ts';
import type { Execution } from './executor.ts';
import type { Traced } from './tracer.ts';

/** A request and when its parts happened, on the clock of `performance.now()`. */
export interface RequestMoments extends Traced {
  /** When it entered the queue. */
  readonly queuedMs: number;
  /** When its answer was ready. */
  readonly endMs: number;
}

/**
 * A span for a run that served several requests, below the first of them that is traced and linked to all of them.
 *
 * @returns its `traceparent`; `undefined` when none is traced.
 */
export function traceBatch(batch: readonly BatchEntry[], rows: number, startMs: number): string | undefined {
  const first = batch.find(({ request }) => request.span !== undefined)?.request.span;
  return first?.child({
    name: 'batch',
    startMs: startMs + epochOffsetMs(),
    endMs: Date.now(),
    attributes: { 'lamella.batch.requests': batch.length, 'lamella.batch.rows': rows },
    links: batch.flatMap(({ request }) => request.span?.traceparent ?? []),
  });
}

/** Spans for the wait and the computation of a request, the latter linked to the batch that it was part of. */
export function traceRequest(
  span: CallSpan,
  { queueMs, times, batchSpan }: Execution,
  { model, version, queuedMs, endMs }: RequestMoments,
): void {
  const attributes = { 'lamella.model': model, 'lamella.model_version': version };
  const offsetMs = epochOffsetMs();
  const computeMs = queuedMs + queueMs + offsetMs;
  span.child({ name: 'queue', startMs: queuedMs + offsetMs, endMs: computeMs, attributes });
  span.child({
    name: 'compute',
    startMs: computeMs,
    endMs: endMs + offsetMs,
    attributes: { ...attributes, 'lamella.infer_ms': times.runMs },
    links: batchSpan === undefined ? [] : [batchSpan],
  });
}

/** By the clock of the day, as the spans of calls: that of the start of the process may have drifted away from it. */
function epochOffsetMs(): number {
  return Date.now() - performance.now();
}
