import { type TSchema, Type } from '../sdk/index.ts';
import { type CapabilitySettings, CapabilitySettingsSchema } from './capabilities/capability.ts';
import { type RemoteSettings, RemoteSettingsSchema } from './fleet/remote-settings.ts';
import type { BreakerLimits } from './loader/circuit-breaker.ts';
import type { IsolationName } from './loader/instance.ts';

const LEVELS: readonly IsolationName[] = ['INLINE', 'WORKER', 'PROCESS', 'REMOTE'];

/** Schema of one entry of `plugins` in `config.json`. */
export const PluginSettingsSchema: TSchema = Type.Object(
  {
    isolation: Type.Optional(
      Type.Union(
        LEVELS.map((level) => Type.Literal(level)),
        {
          description: 'Isolation level of the plugin, one of those its manifest allows.',
        },
      ),
    ),
    remote: Type.Optional(RemoteSettingsSchema),
    rateLimit: Type.Optional(
      Type.Object(
        { perSecond: Type.Number({ exclusiveMinimum: 0 }), burst: Type.Integer({ minimum: 1 }) },
        {
          additionalProperties: false,
          description: 'Calls that the plugin takes: `burst` at once, `perSecond` in the long run.',
        },
      ),
    ),
    circuitBreaker: Type.Optional(
      Type.Object(
        {
          faultRatio: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
          minimumCalls: Type.Optional(Type.Integer({ minimum: 0 })),
          windowMs: Type.Optional(Type.Integer({ minimum: 10 })),
          openMs: Type.Optional(Type.Integer({ minimum: 1 })),
        },
        {
          additionalProperties: false,
          description:
            'When the plugin gets no calls for `openMs` (5,000): `faultRatio` (0.5) of at least `minimumCalls` (20; 0 for never) within `windowMs` (10,000) failed by its fault.',
        },
      ),
    ),
    capabilities: Type.Optional(CapabilitySettingsSchema),
    configVersion: Type.Optional(
      Type.String({
        pattern: '^\\d+\\.\\d+\\.\\d+(?:[-+][0-9A-Za-z.+-]+)?$',
        description:
          'Version of the plugin that `config` was written for; without it, the version that ran with it first.',
      }),
    ),
    config: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: "Options, checked by the manifest's schema.",
      }),
    ),
    secrets: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Secret name to the environment variable that holds its value.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** What an operator says of one plugin. */
export interface PluginSettings {
  readonly isolation?: IsolationName;
  readonly remote?: RemoteSettings;
  readonly rateLimit?: { readonly perSecond: number; readonly burst: number };
  readonly circuitBreaker?: Partial<BreakerLimits>;
  readonly capabilities?: CapabilitySettings;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly configVersion?: string;
  readonly secrets?: Readonly<Record<string, string>>;
}
