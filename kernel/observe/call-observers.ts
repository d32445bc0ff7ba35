import type { Call } from '../call.ts';
import type { Interceptor } from '../dispatcher.ts';
import type { HttpExchange } from '../server/http-exchange.ts';
import type { HttpInterceptor } from '../server/http-listener.ts';
import { AccessFeed } from './access-feed.ts';
import { AccessLog, type AccessLogParts } from './access-log.ts';
import type { AccessLogConfig } from './access-log-config.ts';
import { CallObservation } from './call-observation.ts';
import type { CallTracer } from './call-trace.ts';
import { isTracingWanted, type TracingConfig } from './tracing-config.ts';

/** What {@link CallObservers.open} makes its parts from. */
export interface ObserverParts extends Omit<AccessLogParts, 'config' | 'feed'> {
  readonly config: { readonly accessLog: AccessLogConfig; readonly tracing: TracingConfig };
  /** Variables of the kernel's process. */
  readonly environment: NodeJS.ProcessEnv;
}

/** The place of access log and traces in the chain of calls; nothing is noted until somebody wants it. */
export class CallObservers {
  /** For those who watch calls while they end. */
  readonly feed: AccessFeed = new AccessFeed();
  #accessLog: AccessLog | undefined;
  #tracer: CallTracer | undefined;

  /** From now on calls are written down and traced, if the operator wants them to be. */
  async open(parts: ObserverParts): Promise<void> {
    const { accessLog, tracing } = parts.config;
    this.#accessLog = new AccessLog({ ...parts, config: accessLog, feed: this.feed });
    if (!isTracingWanted(tracing, parts.environment)) return;
    // Loaded by those who trace: the libraries take some 20 MB of memory.
    const { openTracer } = await import('./otlp-tracer.ts');
    this.#tracer = await openTracer({ ...parts, config: tracing });
  }

  /** Stands before access control, so that calls that are refused there are seen too. */
  interceptor(): Interceptor {
    return {
      name: 'observe',
      before: (call, path) => this.#before(call, path),
      after: (call, path, error) => {
        if (call.observation === undefined) return;
        this.#accessLog?.call(call, path, error);
        call.observation.trace?.end(error);
      },
    };
  }

  #before(call: Call, path: string): void {
    if (this.#accessLog?.isOpen !== true && this.#tracer === undefined) return;
    call.observation = new CallObservation(this.#tracer?.begin(call, path));
  }

  /** The same for requests over HTTP. */
  httpInterceptor(): HttpInterceptor {
    return async (request, context, next) => {
      if (this.#tracer === undefined) return next();
      const { method, headers, url } = request;
      const path = new URL(url).pathname;
      const span = this.#tracer.beginRequest({ method, path, owner: context.owner, headers });
      context.span = span.span;
      let status = CLIENT_LEFT;
      context.onEnd(() => span.end(status));
      const response = await next();
      ({ status } = response);
      return response;
    };
  }

  /** A request over HTTP has been answered. */
  exchange(exchange: HttpExchange): void {
    this.#accessLog?.exchange(exchange);
  }

  async close(): Promise<void> {
    await Promise.all([this.#accessLog?.close(), this.#tracer?.close()]);
  }
}

/** Of a request whose handler gave no answer: it failed, or its client left. */
const CLIENT_LEFT = 499;
