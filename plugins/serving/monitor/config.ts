import { type TObject, type TSchema, Type } from 'lamella/sdk';
import {
  type DriftConfig,
  DriftSchema,
  type PayloadLogConfig,
  PayloadLogSchema,
  type SampleConfig,
  SampleSchema,
} from './sample-config.ts';

const milliseconds = (minimum: number, value: number, description: string): TSchema =>
  Type.Integer({ minimum, maximum: 604_800_000, default: value, description });

const webhook: TSchema = Type.Object(
  {
    url: Type.String({ pattern: '^https?://', description: 'Address that gets a POST.' }),
    secret: Type.Optional(
      Type.String({
        description:
          'Name of the secret it is signed with (Standard Webhooks); its value is `whsec_…`, or several.',
      }),
    ),
  },
  { additionalProperties: false, description: 'Posts JSON; its host must be granted.' },
);

const email: TSchema = Type.Object(
  {
    host: Type.String({ minLength: 1, description: 'Server that takes the mail.' }),
    port: Type.Integer({ minimum: 1, maximum: 65_535, default: 587 }),
    tls: Type.Union([Type.Literal('implicit'), Type.Literal('starttls'), Type.Literal('none')], {
      default: 'starttls',
    }),
    from: Type.String({ minLength: 1 }),
    to: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 50 }),
    user: Type.Optional(Type.String()),
    password: Type.Optional(Type.String({ description: 'Name of the secret that holds the password.' })),
  },
  { additionalProperties: false, description: 'Sends mail by SMTP.' },
);

const receiver: TSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,62}$' }),
    log: Type.Optional(Type.Boolean({ description: 'Writes lines into the log.' })),
    event: Type.Optional(Type.Boolean({ description: 'Publishes on the topic `serving.alerts`.' })),
    webhook: Type.Optional(webhook),
    email: Type.Optional(email),
    matchers: Type.Optional(
      Type.String({
        maxLength: 2_000,
        description: 'Alerts it is told of, `{severity="critical"}`; all without it.',
      }),
    ),
    groupBy: Type.Array(Type.String(), {
      maxItems: 20,
      default: ['alertname'],
      description: 'Labels whose values put alerts into one notification.',
    }),
    groupWaitMs: milliseconds(0, 0, 'Time that a new group waits for further alerts.'),
    groupIntervalMs: milliseconds(0, 30_000, 'Time between two notifications of a group about changes.'),
    repeatIntervalMs: milliseconds(
      0,
      14_400_000,
      'Time after which alerts that fire on are told again; 0 for never.',
    ),
    sendsResolved: Type.Boolean({ default: true, description: 'Whether the end of alerts is told.' }),
    timeoutMs: Type.Integer({ minimum: 100, maximum: 60_000, default: 15_000 }),
  },
  { additionalProperties: false },
);

const inhibitRule: TSchema = Type.Object(
  {
    source: Type.String({ maxLength: 2_000 }),
    target: Type.String({ maxLength: 2_000 }),
    equal: Type.Array(Type.String(), { maxItems: 20, default: [] }),
  },
  { additionalProperties: false },
);

/** Options of the monitor plugin; the manifest holds the same schema for the kernel. */
export const MonitorConfigSchema: TObject<Record<keyof MonitorConfig, TSchema>> = Type.Object(
  {
    intervalMs: Type.Integer({
      minimum: 100,
      maximum: 3_600_000,
      default: 5_000,
      description: 'Time between two looks at the metrics, in milliseconds.',
    }),
    windowMs: Type.Integer({
      minimum: 1_000,
      maximum: 86_400_000,
      default: 900_000,
      description: 'How long samples are kept in memory, in milliseconds; no rule looks back further.',
    }),
    maxSeries: Type.Integer({
      minimum: 100,
      maximum: 200_000,
      default: 10_000,
      description: 'Series that are kept at the most; each takes 8 bytes a look.',
    }),
    maxRules: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 1_000,
      description: 'Alert rules at the most.',
    }),
    maxAlerts: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 1_000,
      description: 'Alerts at the most.',
    }),
    defaultRules: Type.Boolean({
      default: true,
      description: 'Whether the rules that come with the plugin hold.',
    }),
    receivers: Type.Array(receiver, {
      maxItems: 50,
      default: [
        { name: 'log', log: true },
        { name: 'event', event: true },
      ],
      description: 'Who is told of alerts, and how; see the README of serving.monitor.',
    }),
    inhibitRules: Type.Array(inhibitRule, {
      maxItems: 100,
      default: [],
      description: 'Alerts that hold others back: `source` and `target` as matchers, `equal` labels.',
    }),
    samples: Type.Array(SampleSchema, {
      maxItems: 1_000,
      default: [],
      description:
        'Models whose requests are sampled; of several entries that fit the first holds. None samples nothing.',
    }),
    payloadLog: PayloadLogSchema,
    drift: DriftSchema,
  },
  { additionalProperties: false },
);

/** Somebody who is told of alerts: exactly one of `log`, `event`, `webhook` and `email`. */
export interface ReceiverConfig {
  readonly name: string;
  readonly log?: boolean;
  readonly event?: boolean;
  readonly webhook?: { readonly url: string; readonly secret?: string };
  readonly email?: EmailConfig;
  readonly matchers?: string;
  readonly groupBy: readonly string[];
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatIntervalMs: number;
  readonly sendsResolved: boolean;
  readonly timeoutMs: number;
}

/** Where mail goes. */
export interface EmailConfig {
  readonly host: string;
  readonly port: number;
  readonly tls: 'implicit' | 'starttls' | 'none';
  readonly from: string;
  readonly to: readonly string[];
  readonly user?: string;
  readonly password?: string;
}

/** Checked configuration. */
export interface MonitorConfig {
  readonly intervalMs: number;
  readonly windowMs: number;
  readonly maxSeries: number;
  readonly maxRules: number;
  readonly maxAlerts: number;
  readonly defaultRules: boolean;
  readonly receivers: readonly ReceiverConfig[];
  readonly inhibitRules: readonly {
    readonly source: string;
    readonly target: string;
    readonly equal: readonly string[];
  }[];
  readonly samples: readonly SampleConfig[];
  readonly payloadLog: PayloadLogConfig;
  readonly drift: DriftConfig;
}
