import { defineConfig, type TSchema, Type } from '../sdk/index.ts';
import {
  type ConnectionsConfig,
  ConnectionsSchema,
  type LoadReportsConfig,
  LoadReportsSchema,
  PropagatedHeadersSchema,
} from './mesh-config.ts';
import { type PluginSettings, PluginSettingsSchema } from './plugin-settings.ts';
import { type AccessLogConfig, AccessLogConfigSchema } from './observe/access-log-config.ts';
import { type TracingConfig, TracingConfigSchema } from './observe/tracing-config.ts';
import type { TopicSettings } from './topics/topic.ts';
import {
  type AccessConfig,
  AccessConfigSchema,
  type TlsConfig,
  TlsConfigSchema,
} from './access/access-config.ts';
import { type TrustConfig, TrustConfigSchema } from './packaging/trust.ts';

const TopicSettingsSchema: TSchema = Type.Object(
  {
    durable: Type.Optional(Type.Boolean({ description: 'Keeps events on disk.' })),
    maxEvents: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000, description: 'Events kept.' })),
    maxAgeMs: Type.Optional(
      Type.Integer({ minimum: 1_000, description: 'Time they are kept, in milliseconds.' }),
    ),
  },
  { additionalProperties: false },
);

/** Schema of `config.json` in the home folder. */
export const KernelConfigSchema: TSchema = defineConfig({
  connections: ConnectionsSchema,
  loadReports: LoadReportsSchema,
  propagatedHeaders: PropagatedHeadersSchema,
  drainMs: Type.Integer({
    default: 5_000,
    minimum: 0,
    description: 'Time running calls get when the kernel stops, in milliseconds.',
  }),
  prestopMs: Type.Optional(
    Type.Integer({
      minimum: 0,
      description:
        'Time between NOT_SERVING and the drain, in milliseconds, in which others learn that no more calls are wanted. Without it: 5,000, or 0 when only the loopback is served.',
    }),
  ),
  requiredPlugins: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'Ids of the plugins without which the kernel is not ready (docs/mesh.md). Without it: all that it is asked to start.',
    }),
  ),
  rollbackWindowMs: Type.Integer({
    default: 120_000,
    minimum: 0,
    description:
      'Time a replaced version of a plugin waits to be called back, in milliseconds; 0 stops it once its calls are done.',
  }),
  blockedMs: Type.Integer({
    default: 500,
    minimum: 20,
    description:
      'Time for which a plugin may keep its thread busy without a pause before it is named in log, metrics and events, in milliseconds.',
  }),
  maxMessageBytes: Type.Integer({
    default: 64 * 1024 * 1024,
    minimum: 1024,
    description: 'Largest gRPC message taken from a client, in bytes; 64 MiB holds a batch of images.',
  }),
  maxHttpBodyBytes: Type.Integer({
    default: 64 * 1024 * 1024,
    minimum: 1024,
    description: 'Largest HTTP request body, in bytes.',
  }),
  allowedHosts: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'Host names that HTTP requests may carry beside those of the loopback; `*` takes all. Without it: all, or none when only the loopback is served.',
    }),
  ),
  allowedOrigins: Type.Array(Type.String(), {
    default: [],
    description: 'Origins of web pages that may send more than GET; `*` takes all.',
  }),
  access: AccessConfigSchema,
  accessLog: AccessLogConfigSchema,
  tracing: TracingConfigSchema,
  topics: Type.Record(
    Type.String({ pattern: '^[a-z][a-z0-9_-]*(?:\\.[a-z0-9_-]+)*$' }),
    TopicSettingsSchema,
    {
      default: {},
      description:
        'Event topics by name, over what plugins declare: `durable` keeps events on disk, `maxEvents` and `maxAgeMs` say how many and how long.',
    },
  ),
  tls: Type.Optional(TlsConfigSchema),
  trust: TrustConfigSchema,
  plugins: Type.Record(Type.String(), PluginSettingsSchema, {
    default: {},
    description: 'Settings of plugins by id.',
  }),
});

/** Checked content of `config.json`. */
export interface KernelConfig {
  readonly connections: ConnectionsConfig;
  readonly loadReports: LoadReportsConfig;
  readonly propagatedHeaders: readonly string[];
  readonly drainMs: number;
  readonly prestopMs?: number;
  readonly requiredPlugins?: readonly string[];
  readonly rollbackWindowMs: number;
  readonly blockedMs: number;
  readonly maxMessageBytes: number;
  readonly maxHttpBodyBytes: number;
  readonly allowedHosts?: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly access: AccessConfig;
  readonly accessLog: AccessLogConfig;
  readonly tracing: TracingConfig;
  readonly topics: Readonly<Record<string, TopicSettings>>;
  readonly tls?: TlsConfig;
  readonly trust: TrustConfig;
  readonly plugins: Readonly<Record<string, PluginSettings>>;
}
