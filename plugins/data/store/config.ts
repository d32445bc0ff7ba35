import { type TObject, type TSchema, Type } from 'lamella/sdk';

/** Checked configuration. */
export interface StoreConfig {
  readonly maxBatchBytes: number;
}

/** Options of the store; the manifest holds the same schema for the kernel. */
export const StoreConfigSchema: TObject<Record<keyof StoreConfig, TSchema>> = Type.Object(
  {
    maxBatchBytes: Type.Integer({
      minimum: 1024,
      default: 33_554_432,
      description: 'Largest Arrow batch taken, in bytes; 32 MiB stays below every message limit.',
    }),
  },
  { additionalProperties: false },
);
