import type { Static, TInteger, TObject } from '@sinclair/typebox';
import { defineConfig, Type } from 'lamella/sdk';

/** Schema of the trainer's options; plugin.json says the same. */
export const TrainConfigSchema: TObject<{
  maxFeaturesMib: TInteger;
  threads: TInteger;
  progressIntervalMs: TInteger;
}> = defineConfig({
  maxFeaturesMib: Type.Integer({
    minimum: 1,
    // A protobuf file ends at 2 GiB, and the features are part of one.
    maximum: 1536,
    default: 1024,
    description: 'Largest size of the prepared features of one run, in MiB; they stay in the child process',
  }),
  threads: Type.Integer({
    minimum: 1,
    maximum: 256,
    default: 1,
    description: 'Threads of one operator; small models get slower with more than one',
  }),
  progressIntervalMs: Type.Integer({
    minimum: 10,
    maximum: 60_000,
    default: 500,
    description: 'Aim for the time between two progress messages, in milliseconds',
  }),
});

/** Options of the trainer. */
export type TrainConfig = Static<typeof TrainConfigSchema>;
