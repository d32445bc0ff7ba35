import { Code, type ErrorType, type Logger } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';
import { KERNEL_ID } from '../builtin.ts';
import type { MetricsRegistry } from '../metrics.ts';
import type { Certificates } from './certificates.ts';
import { type HttpAdmission, HttpListener } from './http-listener.ts';
import type { MountHandler } from './http-mounts.ts';
import { PROBES_PREFIX } from './http-probes.ts';

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
  /** Answers `/healthz/live` and `/healthz/ready`. */
  readonly probes?: MountHandler;
  /** See `HttpListenerOptions.allowedHosts`. */
  readonly allowedHosts?: readonly string[];
  /** See `HttpListenerOptions.admit`. */
  readonly admit?: HttpAdmission;
  /** See `HttpListenerOptions.certificates`. */
  readonly certificates?: Certificates | undefined;
}

/** A listener of its own for `GET /metrics` and the probes, so that whoever watches needs no way to the plugins. */
export function createMetricsListener({ metrics, probes, ...options }: MetricsListenerOptions): HttpListener {
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
  listener.mount('/metrics', handler, KERNEL_ID);
  if (probes !== undefined) listener.mount(PROBES_PREFIX, probes, KERNEL_ID);
  return listener;
}
