import path from 'node:path';
import { StoreDriverService } from 'lamella/proto/lamella/data/v1/store_driver_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { type StoreConfig, StoreConfigSchema } from './config.ts';
import { createStoreDriverService } from './driver-service.ts';
import { LmdbDriver } from './lmdb-driver.ts';
import { createStoreService } from './service.ts';
import { Store } from './store.ts';

const plugin: Plugin<StoreConfig> = definePlugin({
  config: StoreConfigSchema,
  async start(host) {
    const { storage, clock } = host;
    const { maxBatchBytes } = host.config as StoreConfig;
    const driver = host.own(await LmdbDriver.open(path.join(storage.directory, 'rows')));
    const store = new Store({ storage, clock, driver, maxBatchBytes });
    await store.sweep();
    host.serve(StoreService, createStoreService(store));
    host.serve(StoreDriverService, createStoreDriverService(driver));
  },
});
export default plugin;
