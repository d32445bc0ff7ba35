import { type Context, ROOT_CONTEXT, type Span, SpanKind, trace, type Tracer } from '@opentelemetry/api';
import {
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { KERNEL_ID } from '../builtin.ts';
import type { Call } from '../call.ts';
import { serviceOf } from '../dispatcher.ts';
import type { Router } from '../router.ts';
import { KERNEL_VERSION } from '../version.ts';
import type { CallTrace, CallTracer, RequestTrace, TracedRequest } from './call-trace.ts';
import { OtlpCallSpan } from './otlp-call-span.ts';
import { OtlpCallTrace, type Tracers } from './otlp-call-trace.ts';
import { createSpanExporter, type ExporterParts } from './span-exporter.ts';
import { parentHeaders, readParent, speaksB3 } from './trace-headers.ts';

/** Parts of a tracer. */
export interface TracerParts extends ExporterParts {
  readonly router: Router;
}

/** Time the collector gets for the last spans, in milliseconds. */
const CLOSE_LIMIT_MS = 2_000;

/** Versions of plugins whose tracers are kept; a development kernel loads many. */
const TRACER_LIMIT = 1_000;

/** First HTTP status that is the server's fault. */
const FIRST_SERVER_ERROR = 500;

/** A tracer that sends spans to a collector. */
export async function openTracer(parts: TracerParts): Promise<CallTracer> {
  const processor = new BatchSpanProcessor(await createSpanExporter(parts));
  return new OtlpTracer(parts, processor);
}

class OtlpTracer implements CallTracer, Tracers {
  readonly #router: Router;
  readonly #processor: BatchSpanProcessor;
  readonly #sampler: Sampler | undefined;
  /** What the operator says of all that runs here. */
  readonly #resource: Resource;
  readonly #tracers: Map<string, Tracer> = new Map();
  readonly kernel: Tracer;

  constructor({ config, environment, router }: TracerParts, processor: BatchSpanProcessor) {
    this.#router = router;
    this.#processor = processor;
    const isChosen = environment['OTEL_TRACES_SAMPLER'] !== undefined;
    const root = new TraceIdRatioBasedSampler(config.sampleRatio);
    this.#sampler = isChosen ? undefined : new ParentBasedSampler({ root });
    this.#resource = detectResources({ detectors: [envDetector] });
    const named = { 'service.name': config.serviceName, 'service.version': KERNEL_VERSION };
    this.kernel = this.#create(resourceFromAttributes(named).merge(this.#resource));
  }

  #create(resource: Resource): Tracer {
    const provider = new BasicTracerProvider({
      resource,
      spanProcessors: [this.#processor],
      ...(this.#sampler === undefined ? {} : { sampler: this.#sampler }),
    });
    return provider.getTracer('lamella', KERNEL_VERSION);
  }

  plugin(id: string, version: string): Tracer {
    const key = `${id}@${version}`;
    const known = this.#tracers.get(key);
    if (known !== undefined) return known;
    if (this.#tracers.size >= TRACER_LIMIT) this.#tracers.clear();
    const named = { 'service.name': id, ...(version === '' ? {} : { 'service.version': version }) };
    const tracer = this.#create(this.#resource.merge(resourceFromAttributes(named)));
    this.#tracers.set(key, tracer);
    return tracer;
  }

  begin(call: Call, path: string): CallTrace | undefined {
    const read = (name: string): unknown => call.headers.get(name);
    // Health checks, log lines of processes and the like would bury what people look for.
    const isOwn = this.#router.providerName(serviceOf(path)) === KERNEL_ID;
    const parent = readParent(read);
    if (isOwn && parent === undefined) return undefined;
    return new OtlpCallTrace({ call, path, parent, speaksB3: speaksB3(read), tracers: this });
  }

  beginRequest({ method, path, owner, headers }: TracedRequest): RequestTrace {
    const read = (name: string): unknown => headers.get(name) ?? undefined;
    const parent = readParent(read);
    const context: Context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    const attributes = { 'http.request.method': method, 'url.path': path, 'lamella.plugin': owner };
    const span = this.kernel.startSpan(method, { kind: SpanKind.SERVER, attributes }, context);
    for (const [name, value] of parentHeaders(span.spanContext(), speaksB3(read))) headers.set(name, value);
    const tracer = owner === '' ? this.kernel : this.plugin(owner, '');
    return {
      span: span.isRecording() ? new OtlpCallSpan(tracer, span) : undefined,
      end: (status) => endRequest(span, status),
    };
  }

  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_LIMIT_MS);
    });
    await Promise.race([this.#processor.shutdown(), limit]);
    clearTimeout(timer);
  }
}

function endRequest(span: Span, status: number): void {
  span.setAttribute('http.response.status_code', status);
  if (status >= FIRST_SERVER_ERROR) span.setStatus({ code: 2 });
  span.end();
}
