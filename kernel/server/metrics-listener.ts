import { Code, type ErrorType, type Logger } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';
import type { MetricsRegistry } from '../metrics.ts';
import type { Certificates } from './certificates.ts';
import { type HttpAdmission, HttpListener } from './http-listener.ts';

/** The metrics port serves reading only. */
export const MetricsReadOnly: ErrorType = defineKernelError({
  reason: 'METRICS_READ_ONLY',
  code: Code.UNIMPLEMENTED,
  message: () => 'Metrics can only be read; send GET /metrics.',
});

/** Options of {@link createMetricsListener}. */
export interface MetricsListenerOptions {
  readonly host: string;
  /** Port; 0 takes a free one. */
  readonly port: number;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  /** See `HttpListenerOptions.allowedHosts`. */
  readonly allowedHosts?: readonly string[];
  /** See `HttpListenerOptions.admit`. */
  readonly admit?: HttpAdmission;
  /** See `HttpListenerOptions.certificates`. */
  readonly certificates?: Certificates | undefined;
}

/** A listener of its own for `GET /metrics`, so that a scraper needs no way to the plugins. */
export function createMetricsListener({ metrics, ...options }: MetricsListenerOptions): HttpListener {
  const listener = new HttpListener({
    ...options,
    name: 'metrics',
    limits: { maxBodyBytes: 0, maxConnections: 100 },
  });
  const handler = async (request: Request): Promise<Response> => {
    if (request.method !== 'GET') throw new MetricsReadOnly({});
    const text = await metrics.exposition();
    return new Response(text, {
      headers: { 'content-type': metrics.contentType, 'cache-control': 'no-store' },
    });
  };
  listener.mount('/metrics', handler, 'kernel');
  return listener;
}
