import { randomFillSync } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { isDeclaredError } from 'lamella/sdk';
import { encodeArrow } from 'lamella/sdk/arrow';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { ROOT } from '../support/echo-plugin.ts';
import { fillDisk } from './fill-disk.ts';

/**
 * A kernel whose home lies on a small disk of its own: `node full-disk-kernel.js <directory>`. It fills the disk, tells
 * what was answered, makes room, and looks for everything that was acknowledged. Prints one JSON object.
 */
const [, , disk = ''] = process.argv;
const home = path.join(disk, 'home');
const filler = path.join(disk, 'filler');

const start = (): Promise<TestKernel> =>
  startTestKernel({
    home,
    plugins: [path.join(ROOT, 'dist/plugins/data/store'), path.join(ROOT, 'dist/plugins/model/registry')],
  });

async function writeRows(kernel: TestKernel, dataset: string, sizeBytes: number): Promise<string> {
  const values = randomFillSync(new Int32Array(sizeBytes / 4));
  const columns = [{ name: 'id', type: DataType.INT32, shape: [], values }];
  const { version } = await kernel.call(StoreService).writeVersion(
    (async function* () {
      yield { part: { case: 'header' as const, value: { dataset, step: { name: 'test' } } } };
      yield { part: { case: 'arrowIpc' as const, value: encodeArrow({ rowCount: values.length, columns }) } };
    })(),
  );
  return version?.name ?? '';
}

async function register(kernel: TestKernel, sizeBytes: number): Promise<string> {
  const chunk = randomFillSync(Buffer.alloc(sizeBytes));
  const { version } = await kernel.call(RegistryService).createVersion(
    (async function* () {
      yield { part: { case: 'header' as const, value: { model: 'big' } } };
      yield { part: { case: 'chunk' as const, value: chunk } };
    })(),
  );
  return version?.name ?? '';
}

/** The reason of the first call that fails; names of those that did not are kept in `acknowledged`. */
async function untilRefused(work: () => Promise<string>, acknowledged: string[]): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      acknowledged.push(await work());
    } catch (error) {
      return isDeclaredError(error) ? `${error.reason}: ${error.message}` : String(error);
    }
  }
  return 'nothing was ever refused';
}

async function missing(
  kernel: TestKernel,
  versions: readonly string[],
  models: readonly string[],
): Promise<string[]> {
  const lost: string[] = [];
  for (const name of versions) {
    let rows = 0;
    try {
      for await (const { arrowIpc } of kernel.call(StoreService).readVersion({ name }))
        rows += arrowIpc.byteLength;
    } catch {
      rows = 0;
    }
    if (rows === 0) lost.push(name);
  }
  for (const name of models) {
    try {
      await kernel.call(RegistryService).getVersion({ name });
    } catch {
      lost.push(name);
    }
  }
  return lost;
}

const versions: string[] = [];
const models: string[] = [];
let kernel = await start();
// Other files on the disk, which somebody removes in the end.
await writeFile(filler, Buffer.alloc(24 << 20));
versions.push(await writeRows(kernel, 'first', 1_024));
models.push(await register(kernel, 1_024));
const removable = await writeRows(kernel, 'removable', 8 << 20);
const rows = await untilRefused(() => writeRows(kernel, 'many', 4 << 20), versions);
// Deleting must work on a disk that takes no more rows, and make room for new ones.
await kernel.call(StoreService).deleteVersion({ name: removable });
versions.push(await writeRows(kernel, 'instead', 4 << 20));
const artifact = await untilRefused(() => register(kernel, 1 << 20), models);
await fillDisk(filler);
const smallRows = await untilRefused(() => writeRows(kernel, 'small', 64 << 10), versions);
const smallArtifact = await untilRefused(() => register(kernel, 64 << 10), models);
const lostWhileFull = await missing(kernel, versions, models);
const states = ['data.store', 'model.registry'].map((id) => kernel.describe(id));
await rm(filler);
versions.push(await writeRows(kernel, 'afterwards', 64 << 10));
models.push(await register(kernel, 1_024));
await kernel.stop();
kernel = await start();
const lostAfterRestart = await missing(kernel, versions, models);
await kernel.stop();
process.stdout.write(
  `${JSON.stringify({ rows, artifact, smallRows, smallArtifact, lostWhileFull, lostAfterRestart, states, versions, models })}\n`,
);
