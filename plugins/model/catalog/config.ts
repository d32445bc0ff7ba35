import type { Static, TInteger, TObject } from '@sinclair/typebox';
import { defineConfig, Type } from 'lamella/sdk';

/** Schema of the catalogue's options; plugin.json says the same. */
export const CatalogConfigSchema: TObject<{ maxParameters: TInteger }> = defineConfig({
  maxParameters: Type.Integer({
    minimum: 1,
    default: 50_000_000,
    description: 'Largest number of weights that a model may be built with',
  }),
});

/** Options of the catalogue. */
export type CatalogConfig = Static<typeof CatalogConfigSchema>;
