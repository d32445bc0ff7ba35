import { type TObject, type TSchema, Type } from 'lamella/sdk';

/** Checked configuration. */
export interface CollectConfig {
  readonly maxLineBytes: number;
}

/** Options of collect; the manifest holds the same schema for the kernel. */
export const CollectConfigSchema: TObject<Record<keyof CollectConfig, TSchema>> = Type.Object(
  {
    maxLineBytes: Type.Integer({
      minimum: 1_024,
      default: 16_777_216,
      description: 'Longest line or record of a text file, in bytes.',
    }),
  },
  { additionalProperties: false },
);
