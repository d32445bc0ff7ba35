import type { Static, TInteger, TObject } from '@sinclair/typebox';
import { defineConfig, Type } from 'lamella/sdk';

/** Schema of the registry's options; plugin.json says the same. */
export const RegistryConfigSchema: TObject<{ maxArtifactBytes: TInteger }> = defineConfig({
  maxArtifactBytes: Type.Integer({
    minimum: 1,
    default: 1_073_741_824,
    description: 'Largest ONNX file that is accepted, in bytes',
  }),
});

/** Options of the registry. */
export type RegistryConfig = Static<typeof RegistryConfigSchema>;
