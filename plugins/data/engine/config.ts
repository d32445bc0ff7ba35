import { type TObject, type TSchema, Type } from 'lamella/sdk';

/** Checked configuration. */
export interface EngineConfig {
  readonly memoryMib: number;
  readonly threads: number;
  readonly queryTimeoutMs: number;
  readonly cachedTables: number;
}

/** Options of the engine; the manifest holds the same schema for the kernel. */
export const EngineConfigSchema: TObject<Record<keyof EngineConfig, TSchema>> = Type.Object(
  {
    memoryMib: Type.Integer({ minimum: 64, default: 1_024, description: 'Memory DuckDB may use, in MiB.' }),
    threads: Type.Integer({ minimum: 1, default: 2, description: 'Threads DuckDB may use.' }),
    queryTimeoutMs: Type.Integer({
      minimum: 1,
      default: 600_000,
      description: 'Longest run of one statement, in milliseconds; ten minutes is long for one machine.',
    }),
    cachedTables: Type.Integer({
      minimum: 0,
      default: 8,
      description: 'Dataset versions kept loaded after a plan, least recently used dropped first.',
    }),
  },
  { additionalProperties: false },
);
