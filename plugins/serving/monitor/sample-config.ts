import { type TSchema, Type } from 'lamella/sdk';

/** Schema of an entry of `samples`. */
export const SampleSchema: TSchema = Type.Object(
  {
    model: Type.String({ minLength: 1, maxLength: 200, description: 'Model, or `*` for all.' }),
    sampleRate: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      default: 0.01,
      description: 'Share of the requests that is sampled.',
    }),
    mode: Type.Union([Type.Literal('all'), Type.Literal('request'), Type.Literal('response')], {
      default: 'all',
      description: 'Which parts: inputs and outputs, inputs, or outputs.',
    }),
    redact: Type.Array(Type.String(), {
      maxItems: 100,
      default: [],
      description: 'Tensors whose values never leave the inference plugin.',
    }),
    maxBytes: Type.Integer({
      minimum: 1,
      maximum: 8_388_608,
      default: 65_536,
      description: 'Largest payload of one request; tensors beyond are left out.',
    }),
    log: Type.Boolean({
      default: true,
      description: 'Whether samples are written into the dataset `inference.MODEL`.',
    }),
    drift: Type.Boolean({
      default: true,
      description: 'Whether samples are compared with the data that the model was trained on.',
    }),
    reference: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 300,
        description:
          'Dataset version to compare with; without it that of the training, which the model registry knows.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** Schema of `payloadLog`. */
export const PayloadLogSchema: TSchema = Type.Object(
  {
    flushMs: Type.Integer({
      minimum: 100,
      maximum: 3_600_000,
      default: 60_000,
      description:
        'Time between two versions of the dataset; what came since the last one is lost by a kill.',
    }),
    maxRows: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 10_000,
      description: 'Rows that make a version before that; twice as many may wait.',
    }),
    keepMs: Type.Integer({
      minimum: 0,
      default: 604_800_000,
      description: 'Age at which versions are deleted, 7 days; 0 keeps them for ever.',
    }),
  },
  { additionalProperties: false, default: {}, description: 'How samples are written.' },
);

/** Schema of `drift`. */
export const DriftSchema: TSchema = Type.Object(
  {
    windowMs: Type.Integer({
      minimum: 1_000,
      maximum: 604_800_000,
      default: 3_600_000,
      description: 'Age of the oldest samples that are compared.',
    }),
    maxRows: Type.Integer({
      minimum: 10,
      maximum: 100_000,
      default: 2_000,
      description: 'Rows of a model that are compared at the most, the newest ones.',
    }),
    minimumRows: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 200,
      description: 'Rows below which nothing is said: few rows look like drift.',
    }),
    threshold: Type.Number({
      exclusiveMinimum: 0,
      maximum: 100,
      default: 0.2,
      description: 'Population stability index from which a feature counts as drifted.',
    }),
  },
  { additionalProperties: false, default: {}, description: 'How drift is measured.' },
);

/** How requests of a model are sampled. */
export interface SampleConfig {
  readonly model: string;
  readonly sampleRate: number;
  readonly mode: 'all' | 'request' | 'response';
  readonly redact: readonly string[];
  readonly maxBytes: number;
  readonly log: boolean;
  readonly drift: boolean;
  readonly reference?: string;
}

/** How samples are written. */
export interface PayloadLogConfig {
  readonly flushMs: number;
  readonly maxRows: number;
  readonly keepMs: number;
}

/** How drift is measured. */
export interface DriftConfig {
  readonly windowMs: number;
  readonly maxRows: number;
  readonly minimumRows: number;
  readonly threshold: number;
}
