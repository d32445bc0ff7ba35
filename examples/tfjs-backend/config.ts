import type { TObject, TString } from '@sinclair/typebox';
import { defineConfig, Type } from 'lamella/sdk';

/** Options of the backend; plugin.json says the same. */
export const TfjsConfigSchema: TObject<{ models: TString }> = defineConfig({
  models: Type.String({ minLength: 1, maxLength: 4_096 }),
});
