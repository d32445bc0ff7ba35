import { ROOT_CONTEXT, type Span, SpanKind, trace, type Tracer } from '@opentelemetry/api';
import type { CallSpan, SpanStep } from '../../sdk/index.ts';
import { parentHeaders, readParent } from './trace-headers.ts';

/** The span of a call in the hands of the plugin that serves it. */
export class OtlpCallSpan implements CallSpan {
  readonly #tracer: Tracer;
  readonly #span: Span;

  constructor(tracer: Tracer, span: Span) {
    this.#tracer = tracer;
    this.#span = span;
  }

  get traceparent(): string {
    return traceparentOf(this.#span);
  }

  child({ name, startMs, endMs, attributes = {}, links = [] }: SpanStep): string {
    const contexts = links.map((link) =>
      readParent((header) => (header === 'traceparent' ? link : undefined)),
    );
    const span = this.#tracer.startSpan(
      name,
      {
        kind: SpanKind.INTERNAL,
        startTime: startMs,
        attributes: { ...attributes },
        links: contexts.filter((context) => context !== undefined).map((context) => ({ context })),
      },
      trace.setSpan(ROOT_CONTEXT, this.#span),
    );
    span.end(endMs);
    return traceparentOf(span);
  }
}

function traceparentOf(span: Span): string {
  return parentHeaders(span.spanContext(), false)[0]?.[1] ?? '';
}
