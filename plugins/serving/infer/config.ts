import { type ConfigOf, defineConfig, Type } from 'lamella/sdk';
import type { TArray, TBoolean, TInteger, TObject, TString, TUnsafe } from '@sinclair/typebox';

/** Options of the inference plugin; the same as in plugin.json, which the kernel checks before any code runs. */
export const InferConfigSchema: TObject<{
  serverName: TString;
  instances: TInteger;
  maxBatchRows: TInteger;
  queueLimit: TInteger;
  adaptiveLimit: TBoolean;
  intraOpThreads: TInteger;
  runTimeoutMs: TInteger;
  memoryLimitMib: TInteger;
  maxModelBytes: TInteger;
  modelRepositories: TArray<TString>;
  modelControlMode: TUnsafe<'none' | 'explicit' | 'poll'>;
  pollSeconds: TInteger;
  allowSentFiles: TBoolean;
  responseCacheMib: TInteger;
  responseCacheTtlSeconds: TInteger;
  rateLimit: TBoolean;
  maxLoadedModels: TInteger;
  modelMemoryMib: TInteger;
  loadOnDemand: TBoolean;
  allowSharedMemory: TBoolean;
}> = defineConfig({
  serverName: Type.String({ minLength: 1, maxLength: 100, default: 'lamella' }),
  instances: Type.Integer({ minimum: 1, maximum: 64, default: 1 }),
  maxBatchRows: Type.Integer({ minimum: 1, maximum: 65_536, default: 64 }),
  queueLimit: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 2_048 }),
  adaptiveLimit: Type.Boolean({ default: false }),
  intraOpThreads: Type.Integer({ minimum: 1, maximum: 256, default: 1 }),
  runTimeoutMs: Type.Integer({ minimum: 1, maximum: 3_600_000, default: 60_000 }),
  memoryLimitMib: Type.Integer({ minimum: 64, maximum: 1_048_576, default: 4_096 }),
  maxModelBytes: Type.Integer({ minimum: 1, maximum: 2_147_483_647, default: 1_073_741_824 }),
  modelRepositories: Type.Array(Type.String({ minLength: 1, maxLength: 4_096 }), {
    maxItems: 16,
    default: [],
  }),
  modelControlMode: Type.Unsafe<'none' | 'explicit' | 'poll'>({
    enum: ['none', 'explicit', 'poll'],
    default: 'explicit',
  }),
  pollSeconds: Type.Integer({ minimum: 1, maximum: 86_400, default: 15 }),
  allowSentFiles: Type.Boolean({ default: false }),
  responseCacheMib: Type.Integer({ minimum: 0, maximum: 65_536, default: 64 }),
  responseCacheTtlSeconds: Type.Integer({ minimum: 0, maximum: 31_536_000, default: 0 }),
  rateLimit: Type.Boolean({ default: false }),
  maxLoadedModels: Type.Integer({ minimum: 0, maximum: 100_000, default: 0 }),
  modelMemoryMib: Type.Integer({ minimum: 0, maximum: 16_777_216, default: 0 }),
  loadOnDemand: Type.Boolean({ default: false }),
  allowSharedMemory: Type.Boolean({ default: false }),
});

/** Value of {@link InferConfigSchema}. */
export type InferConfig = ConfigOf<typeof InferConfigSchema>;
