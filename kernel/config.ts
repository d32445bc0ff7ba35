import path from 'node:path';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { Code, defineConfig, type ErrorType, type TSchema, Type } from '../sdk/index.ts';
import { defineKernelError } from './kernel-error.ts';
import {
  type ConnectionsConfig,
  ConnectionsSchema,
  type LoadReportsConfig,
  LoadReportsSchema,
  PropagatedHeadersSchema,
} from './mesh-config.ts';
import { type PluginSettings, PluginSettingsSchema } from './plugin-settings.ts';
import { readLimitedFile } from './registry/limited-file.ts';
import { nearestName } from './registry/nearest-name.ts';
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

/** The configuration file in the home folder cannot be used. */
export const ConfigInvalid: ErrorType<'file' | 'problem'> = defineKernelError({
  reason: 'CONFIG_INVALID',
  code: Code.FAILED_PRECONDITION,
  message: ({ file, problem }) => `${file} ${problem}; correct the file and start again.`,
});

/** Largest `config.json`, in bytes; settings of a thousand plugins are smaller. */
const SIZE_LIMIT_BYTES = 4 * 1024 * 1024;

/** Problems named in one message. */
const MAX_PROBLEMS = 5;

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

/** Files for TLS from elsewhere, which go before those of the configuration. */
export type TlsFiles = Partial<Pick<TlsConfig, 'cert' | 'key' | 'clientCa'>>;

const AJV = { meta: false, validateSchema: false, code: { optimize: false } } as const;

let check: ValidateFunction | undefined;

/**
 * Reads `config.json` of a home folder; a missing file means defaults.
 *
 * @throws CONFIG_INVALID names the option and what it should be.
 */
export async function readConfig(home: string, tls: TlsFiles = {}): Promise<KernelConfig> {
  const file = path.join(home, 'config.json');
  const config = withTls(parse(await readText(file), file), tls);
  // Compiled when first used, and once; it is a good part of a kernel's start. The schema is ours, so that it need not
  // be checked by the schema of schemas, and what it compiles to runs too seldom to be worth optimising.
  check ??= new Ajv({ ...AJV, useDefaults: true, allErrors: true, strict: false, verbose: true }).compile(
    KernelConfigSchema,
  );
  if (!check(config)) {
    throw new ConfigInvalid({ file, problem: `is not valid: ${problemsOf(check.errors ?? [])}` });
  }
  return config as KernelConfig;
}

/** What is wrong, each option once, and not more than a person reads. */
function problemsOf(errors: readonly ErrorObject[]): string {
  const phrases = [...new Set(errors.map(phraseOf))];
  const more = phrases.length - MAX_PROBLEMS;
  return [...phrases.slice(0, MAX_PROBLEMS), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function phraseOf({ instancePath, keyword, message = '', params, parentSchema }: ErrorObject): string {
  const where = instancePath.slice(1).replaceAll('/', '.').slice(0, 100);
  if (keyword !== 'additionalProperties') return `'${where}' ${message}`;
  const key = String((params as { additionalProperty: unknown }).additionalProperty);
  const known = Object.keys((parentSchema as { properties?: object } | undefined)?.properties ?? {});
  const nearest = nearestName(key, known);
  const place = where === '' ? '' : ` in '${where}'`;
  const hint = nearest === undefined ? `; there are ${known.join(', ')}` : `; did you mean '${nearest}'?`;
  return `'${key.slice(0, 60)}'${place} is not an option${hint}`;
}

function withTls(config: unknown, tls: TlsFiles): unknown {
  if (Object.keys(tls).length === 0 || typeof config !== 'object' || config === null) return config;
  const { tls: own } = config as { readonly tls?: object };
  return { ...config, tls: { ...own, ...tls } };
}

async function readText(file: string): Promise<string> {
  try {
    const text = await readLimitedFile(file, SIZE_LIMIT_BYTES);
    if (Buffer.byteLength(text) <= SIZE_LIMIT_BYTES) return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '{}';
    throw new ConfigInvalid(
      { file, problem: `cannot be read (${(error as Error).message})` },
      { cause: error },
    );
  }
  throw new ConfigInvalid({ file, problem: `is longer than ${SIZE_LIMIT_BYTES} bytes` });
}

function parse(text: string, file: string): unknown {
  try {
    // Some editors put a byte order mark in front.
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new ConfigInvalid({ file, problem: `is not JSON (${(cause as Error).message})` }, { cause });
  }
}

/** The environment of this process; plugins get chosen variables of it, never all. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}
