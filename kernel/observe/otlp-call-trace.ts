import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { Code } from '../../sdk/index.ts';
import { KERNEL_ID } from '../builtin.ts';
import type { Call } from '../call.ts';
import type { Instance } from '../loader/instance.ts';
import { redactText } from '../log-value.ts';
import { serviceOf } from '../dispatcher.ts';
import type { CallTrace, Wait } from './call-trace.ts';
import { OtlpCallSpan } from './otlp-call-span.ts';
import { declaredError, statusName } from './outcome.ts';
import { parentHeaders } from './trace-headers.ts';

/** Who makes the spans of whom. */
export interface Tracers {
  readonly kernel: Tracer;
  /** @param version - Empty where the caller's version is not known. */
  plugin(id: string, version: string): Tracer;
}

/** A call whose spans begin. */
export interface TraceStart {
  readonly call: Call;
  readonly path: string;
  /** The span of the caller. */
  readonly parent: SpanContext | undefined;
  readonly speaksB3: boolean;
  readonly tracers: Tracers;
}

/** Codes that say a server has failed, by the semantic conventions; other errors are the caller's affair. */
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

/**
 * Two spans for a call: the outer one is the kernel's for a call from outside and the calling plugin's otherwise, and
 * holds all waiting; the inner one is that of the plugin that serves. Each is the parent that the next hop reads.
 */
export class OtlpCallTrace implements CallTrace {
  readonly #start: TraceStart;
  readonly #attributes: Attributes;
  readonly #outer: Span;
  #inner: Span | undefined;
  #span: OtlpCallSpan | undefined;

  constructor(start: TraceStart) {
    this.#start = start;
    const { call, path, parent } = start;
    this.#attributes = {
      'rpc.system': 'grpc',
      'rpc.service': serviceOf(path),
      'rpc.method': path.slice(path.indexOf('/', 1) + 1),
    };
    const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    this.#outer = this.#caller().startSpan(
      path.slice(1),
      {
        kind: call.caller === undefined ? SpanKind.SERVER : SpanKind.CLIENT,
        attributes: { ...this.#attributes, 'lamella.request_id': call.requestId },
      },
      context,
    );
    this.#announce(this.#outer);
  }

  get span(): OtlpCallSpan | undefined {
    return this.#span;
  }

  #caller(): Tracer {
    const { call, tracers } = this.#start;
    const isPlugin = call.caller !== undefined && call.caller !== KERNEL_ID;
    return isPlugin ? tracers.plugin(call.caller, '') : tracers.kernel;
  }

  /** What the call carries from now on. */
  #announce(span: Span): void {
    const { call, speaksB3 } = this.#start;
    for (const [name, value] of parentHeaders(span.spanContext(), speaksB3)) call.headers.set(name, value);
  }

  enter({ pluginId, version, isolation }: Pick<Instance, 'pluginId' | 'version' | 'isolation'>): void {
    this.#inner?.end();
    if (!this.#outer.isRecording() || pluginId === KERNEL_ID) return;
    const context: Context = trace.setSpan(ROOT_CONTEXT, this.#outer);
    const tracer = this.#start.tracers.plugin(pluginId, version);
    this.#inner = tracer.startSpan(
      this.#start.path.slice(1),
      {
        kind: SpanKind.SERVER,
        attributes: { ...this.#attributes, 'lamella.plugin': pluginId, 'lamella.isolation': isolation },
      },
      context,
    );
    this.#span = new OtlpCallSpan(tracer, this.#inner);
    this.#announce(this.#inner);
  }

  waited(why: Wait, milliseconds: number): void {
    this.#outer.addEvent(why, { 'lamella.wait_ms': milliseconds });
  }

  end(error: unknown): void {
    const name = statusName(error);
    for (const span of [this.#inner, this.#outer]) {
      if (span?.isRecording() !== true) continue;
      span.setAttribute('rpc.grpc.status_code', Code[name]);
      if (error !== undefined) tellError(span, { name, error, isServer: this.#isServer(span) });
      span.end();
    }
  }

  #isServer(span: Span): boolean {
    return span === this.#inner || this.#start.call.caller === undefined;
  }
}

interface Failure {
  readonly name: string;
  readonly error: unknown;
  readonly isServer: boolean;
}

function tellError(span: Span, { name, error, isServer }: Failure): void {
  const reason = declaredError(error)?.reason;
  const message = redactText(error instanceof Error ? error.message : String(error));
  if (!isServer || SERVER_ERRORS.has(name)) span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.setAttribute('error.type', reason ?? name);
  span.recordException({ name: reason ?? name, message });
}
