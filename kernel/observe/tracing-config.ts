import { type TSchema, Type } from '../../sdk/index.ts';

/** Protocols of OTLP that are spoken. */
export const OTLP_PROTOCOLS = ['http/protobuf', 'grpc'] as const;

/** Name of a protocol. */
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

/** Schema of `tracing` in the kernel's configuration. */
export const TracingConfigSchema: TSchema = Type.Object(
  {
    endpoint: Type.Optional(
      Type.String({
        pattern: '^https?://',
        description:
          'Collector that takes OTLP, for example `http://127.0.0.1:4318`; without it nothing is traced.',
      }),
    ),
    protocol: Type.Union(
      OTLP_PROTOCOLS.map((name) => Type.Literal(name)),
      { default: 'http/protobuf', description: 'Protocol of the collector.' },
    ),
    sampleRatio: Type.Number({
      default: 1,
      minimum: 0,
      maximum: 1,
      description: 'Share of the traces that begin here which is kept; of others their caller has decided.',
    }),
    serviceName: Type.String({
      default: 'lamella',
      minLength: 1,
      description: "Name of the kernel's spans; those of a plugin carry its id.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: 'OpenTelemetry traces of calls; the standard `OTEL_*` variables go before these.',
  },
);

/** Checked `tracing` of the kernel's configuration. */
export interface TracingConfig {
  readonly endpoint?: string;
  readonly protocol: OtlpProtocol;
  readonly sampleRatio: number;
  readonly serviceName: string;
}

/** Whether calls are traced, by the configuration or the standard variables. */
export function isTracingWanted({ endpoint }: TracingConfig, environment: NodeJS.ProcessEnv): boolean {
  const { OTEL_SDK_DISABLED: disabled, OTEL_TRACES_EXPORTER: exporter } = environment;
  if (disabled?.toLowerCase() === 'true' || exporter === 'none') return false;
  const named =
    environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? environment['OTEL_EXPORTER_OTLP_ENDPOINT'];
  return exporter === 'otlp' || (named ?? endpoint ?? '') !== '';
}
