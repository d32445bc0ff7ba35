import type { TInteger, TObject, TString } from '@sinclair/typebox';
import { type ConfigOf, defineConfig, Type } from 'lamella/sdk';

/** Options of the deploy plugin; plugin.json says the same. */
export const DeployConfigSchema: TObject<{
  readyTimeoutMs: TInteger;
  pollIntervalMs: TInteger;
  extraPackages: TString;
  kubeconfig: TString;
  kubeContext: TString;
}> = defineConfig({
  readyTimeoutMs: Type.Integer({ minimum: 100, maximum: 3_600_000, default: 120_000 }),
  pollIntervalMs: Type.Integer({ minimum: 10, maximum: 60_000, default: 100 }),
  extraPackages: Type.String({ maxLength: 4_096, default: '' }),
  kubeconfig: Type.String({ maxLength: 4_096, default: '' }),
  kubeContext: Type.String({ maxLength: 253, default: '' }),
});

/** Value of {@link DeployConfigSchema}. */
export type DeployConfig = ConfigOf<typeof DeployConfigSchema>;
