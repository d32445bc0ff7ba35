import { type ConfigOf, type TObject, type TSchema, Type } from 'lamella/sdk';

/** Options of the feedback plugin; the manifest holds the same schema for the kernel. */
export const FeedbackConfigSchema: TObject<Record<keyof Options, TSchema>> = Type.Object(
  {
    maxFeedbackBytes: Type.Integer({
      minimum: 1,
      default: 1_048_576,
      description: 'Largest input tensor of one feedback, in bytes; 1 MiB holds any small image.',
    }),
    servingAlias: Type.String({
      default: 'champion',
      description: 'Registry alias of the model version in service.',
    }),
  },
  { additionalProperties: false },
);

interface Options {
  readonly maxFeedbackBytes: number;
  readonly servingAlias: string;
}

/** Checked configuration. */
export type FeedbackConfig = ConfigOf<typeof FeedbackConfigSchema> & Options;
