import type { Static, TObject } from '@sinclair/typebox';
import { defineConfig } from 'lamella/sdk';

/** Schema of the options: there are none. */
export const CleanConfigSchema: TObject<Record<never, never>> = defineConfig({});

/** Options of cleaning. */
export type CleanConfig = Static<typeof CleanConfigSchema>;
