import type { Static, TObject } from '@sinclair/typebox';
import { defineConfig } from 'lamella/sdk';

/** Schema of the options: there are none. */
export const QualityConfigSchema: TObject<Record<never, never>> = defineConfig({});

/** Options of data quality. */
export type QualityConfig = Static<typeof QualityConfigSchema>;
