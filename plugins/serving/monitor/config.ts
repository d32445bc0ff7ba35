import type { TInteger, TObject } from '@sinclair/typebox';
import { defineConfig, Type } from 'lamella/sdk';

/** Options of the monitor plugin; plugin.json says the same. */
export const MonitorConfigSchema: TObject<{ intervalMs: TInteger; maxRules: TInteger }> = defineConfig({
  intervalMs: Type.Integer({ minimum: 100, maximum: 3_600_000, default: 5000 }),
  maxRules: Type.Integer({ minimum: 1, maximum: 10_000, default: 1000 }),
});
