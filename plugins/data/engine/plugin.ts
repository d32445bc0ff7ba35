import path from 'node:path';
import { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { type EngineConfig, EngineConfigSchema } from './config.ts';
import { DuckDbEngine } from './duckdb-engine.ts';
import { createEngineService } from './service.ts';
import { Tables } from './tables.ts';

const plugin: Plugin<EngineConfig> = definePlugin({
  config: EngineConfigSchema,
  async start(host) {
    const config = host.config as EngineConfig;
    const engine = host.own(await DuckDbEngine.open(config, path.join(host.storage.directory, 'spill')));
    const store = host.call(StoreService);
    const tables = new Tables(engine, store, config.cachedTables);
    host.serve(EngineService, createEngineService({ engine, tables, store }));
  },
});
export default plugin;
