import type { Static, TObject } from '@sinclair/typebox';
import { defineConfig } from 'lamella/sdk';

/** Schema of the options: there are none. */
export const PreprocessConfigSchema: TObject<Record<never, never>> = defineConfig({});

/** Options of preprocessing. */
export type PreprocessConfig = Static<typeof PreprocessConfigSchema>;
