import { type ConfigOf, defineConfig, Type } from 'lamella/sdk';
import type { TInteger, TObject } from '@sinclair/typebox';

/** Options of the balance plugin; the same as in plugin.json, which the kernel checks before any code runs. */
export const BalanceConfigSchema: TObject<{ maxModels: TInteger }> = defineConfig({
  maxModels: Type.Integer({ minimum: 1, maximum: 10_000, default: 1_000 }),
});

/** Value of {@link BalanceConfigSchema}. */
export type BalanceConfig = ConfigOf<typeof BalanceConfigSchema>;
