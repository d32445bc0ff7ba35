import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { encodeArrow } from 'lamella/sdk/arrow';
import { LmdbDriver } from '../../../plugins/data/store/lmdb-driver.ts';

/** A writer that is killed by its test: `node store-writer.js <directory> open|committed`. */
const [, , directory = '', until = 'open'] = process.argv;
const driver = await LmdbDriver.open(directory);
const columns = [{ name: 'id', type: DataType.INT32, shape: [], values: Int32Array.of(1, 2, 3) }];
await driver.openWrite('w');
await driver.append('w', encodeArrow({ rowCount: 3, columns }));
if (until === 'committed') await driver.commit('w', 'd/1');
process.stdout.write('written\n');
setInterval(() => undefined, 60_000);
