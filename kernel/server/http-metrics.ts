import type { Metrics } from '../../sdk/index.ts';
import type { HttpExchange } from './http-exchange.ts';

/** Upper bounds of the duration histogram, in seconds; the longest is an answer streamed for minutes. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 300];

/** Counts HTTP requests: rate, errors and duration by the plugin that answered. */
export function createHttpCounter(metrics: Metrics): (exchange: HttpExchange) => void {
  const labels = ['plugin', 'method', 'status'];
  const duration = metrics.histogram({
    name: 'lamella_http_request_duration_seconds',
    help: 'Time from the arrival of an HTTP request to the end of its answer; status 499 is a client that left.',
    labels,
    buckets: DURATION_BUCKETS_SECONDS,
  });
  const bytes = metrics.counter({
    name: 'lamella_http_response_bytes_total',
    help: 'Bytes of HTTP answers without headers.',
    labels: ['plugin'],
  });
  return ({ owner, method, status, durationMs, responseBytes }) => {
    const plugin = owner === '' ? 'kernel' : owner;
    duration.observe(durationMs / 1000, { plugin, method, status: String(status) });
    bytes.add(responseBytes, { plugin });
  };
}
