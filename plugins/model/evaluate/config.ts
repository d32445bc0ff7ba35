import type { Static, TInteger, TObject } from '@sinclair/typebox';
import { defineConfig, Type } from 'lamella/sdk';

/** Schema of the options of evaluation; plugin.json says the same. */
export const EvaluateConfigSchema: TObject<{
  batchRows: TInteger;
  maxModelBytes: TInteger;
  maxRobustnessRows: TInteger;
}> = defineConfig({
  batchRows: Type.Integer({
    minimum: 1,
    maximum: 65_536,
    default: 512,
    description: 'Rows in one run of the model',
  }),
  maxModelBytes: Type.Integer({
    minimum: 1,
    default: 1_073_741_824,
    description: 'Largest ONNX file that is evaluated, in bytes',
  }),
  maxRobustnessRows: Type.Integer({
    minimum: 1,
    default: 5_000,
    description: 'Rows of the hold-out that EvaluateRobustness takes at most',
  }),
});

/** Options of evaluation. */
export type EvaluateConfig = Static<typeof EvaluateConfigSchema>;
