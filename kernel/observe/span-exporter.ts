import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger, Metrics } from '../../sdk/index.ts';
import type { TracingConfig } from './tracing-config.ts';

/** Where spans go, and who is told when they do not arrive. */
export interface ExporterParts {
  readonly config: TracingConfig;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly metrics: Metrics;
}

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0];

/** Code of an export that succeeded. */
const EXPORTED = 0;

/** The exporter of the protocol that is configured, loaded now: most kernels never need one. */
export async function createSpanExporter(parts: ExporterParts): Promise<SpanExporter> {
  return watched(await load(parts), parts);
}

async function load({ config, environment }: ExporterParts): Promise<SpanExporter> {
  const isNamed =
    environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] !== undefined ||
    environment['OTEL_EXPORTER_OTLP_ENDPOINT'] !== undefined;
  const protocol =
    environment['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] ??
    environment['OTEL_EXPORTER_OTLP_PROTOCOL'] ??
    config.protocol;
  // What the variables say the exporters read themselves.
  const url = isNamed ? undefined : config.endpoint;
  if (protocol === 'grpc') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc');
    return new OTLPTraceExporter(url === undefined ? {} : { url });
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter(url === undefined ? {} : { url: tracesUrl(url) });
}

/** A collector is named by its address; spans go to a path of it. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (url.pathname === '/') url.pathname = '/v1/traces';
  return url.href;
}

/** Counts spans, says once that they are lost and once that they are not, and never tells the rest of the kernel. */
export function watched(
  exporter: SpanExporter,
  { log, metrics }: Pick<ExporterParts, 'log' | 'metrics'>,
): SpanExporter {
  let isFailing = false;
  const exported = metrics.counter({
    name: 'lamella_trace_spans_total',
    help: 'Spans that the collector took, or that were lost because it did not.',
    labels: ['outcome'],
  });
  const note = (spans: number, { code, error }: ExportResult): void => {
    const hasFailed = code !== EXPORTED;
    exported.add(spans, { outcome: hasFailed ? 'failed' : 'exported' });
    if (hasFailed && !isFailing) {
      log.warn('the trace collector takes no spans; they are dropped until it does', { error });
    }
    if (!hasFailed && isFailing) log.info('the trace collector takes spans again');
    isFailing = hasFailed;
  };
  return {
    export: (spans, done) => {
      exporter.export(spans, (result) => {
        note(spans.length, result);
        done({ code: EXPORTED });
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
