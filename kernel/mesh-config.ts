import { type TSchema, Type } from '../sdk/index.ts';

/** Schema of `connections` in `config.json`. */
export const ConnectionsSchema: TSchema = Type.Object(
  {
    maxAgeMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2 ** 31 - 1,
        description:
          'Age at which a gRPC client is told to connect anew, in milliseconds, 10 % more or less; balancers of connections need it to reach new nodes. 0 for never. Without it: 300,000, or never when only the loopback is served.',
      }),
    ),
    maxAgeGraceMs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2 ** 31 - 1,
        description:
          'Time that calls on an aged connection get to end, in milliseconds. Without it: as long as they run.',
      }),
    ),
    maxIdleMs: Type.Integer({
      default: 600_000,
      minimum: 1_000,
      description: 'Time after which a gRPC connection without calls is closed, in milliseconds.',
    }),
    maxStreams: Type.Integer({
      default: 1_000,
      minimum: 1,
      description: 'Calls at once on one gRPC connection; clients wait with further ones or connect again.',
    }),
  },
  { default: {}, additionalProperties: false, description: 'Connections of gRPC clients; see docs/mesh.md.' },
);

/** Credentials, what belongs to one hop, and the kernel's own metadata never travel by themselves. */
const PROPAGATABLE =
  '^(?!(authorization|proxy-authorization|cookie|x-api-key|x-forwarded-client-cert|l5d-client-id|host|te|user-agent|content-type)$|grpc-|lamella-)[a-z0-9_.-]{1,64}$';

/** Schema of `propagatedHeaders` in `config.json`. */
export const PropagatedHeadersSchema: TSchema = Type.Array(Type.String({ pattern: PROPAGATABLE }), {
  default: [],
  maxItems: 32,
  description:
    'Metadata that calls between plugins take over beside trace contexts, `baggage`, `x-request-id` and the tenant, in lower case; never credentials.',
});

/** Schema of `loadReports` in `config.json`. */
export const LoadReportsSchema: TSchema = Type.Object(
  {
    minIntervalMs: Type.Integer({
      default: 30_000,
      minimum: 1_000,
      maximum: 2 ** 31 - 1,
      description:
        'Shortest time between two reports of a stream, in milliseconds; shorter ones that clients ask for become this one.',
    }),
    perCall: Type.Boolean({
      default: false,
      description:
        'Sends the trailer `endpoint-load-metrics-bin` with every answer, not only to callers that ask for it.',
    }),
  },
  { default: {}, additionalProperties: false, description: 'ORCA load reports; see docs/mesh.md.' },
);

/** Checked content of `loadReports`. */
export interface LoadReportsConfig {
  readonly minIntervalMs: number;
  readonly perCall: boolean;
}

/** Checked content of `connections`. */
export interface ConnectionsConfig {
  readonly maxAgeMs?: number;
  readonly maxAgeGraceMs?: number;
  readonly maxIdleMs: number;
  readonly maxStreams: number;
}
