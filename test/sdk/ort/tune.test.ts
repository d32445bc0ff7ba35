import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { availableCores, bestOf, type Measured, type OrtPort, tuneModel } from '../../../sdk/ort/index.ts';
import { tuneInputs } from '../../../sdk/ort/tune-inputs.ts';
import { addOneModel } from './models.ts';

function measured(instances: number, batchRows: number, figures: [number, number]): Measured {
  const [rowsPerSecond, p99Ms] = figures;
  return { instances, threads: 1, batchRows, rowsPerSecond, p50Ms: p99Ms / 2, p99Ms };
}

describe('tuneModel', () => {
  it('measures each setting that fits into the cores and takes the best', async () => {
    const seen: string[] = [];
    const tuning = await tuneModel({
      model: addOneModel(),
      cores: 2,
      maxBatchRows: 4,
      settingMs: 20,
      onMeasured: ({ instances, threads, batchRows }, done, total) =>
        seen.push(`${instances}x${threads}x${batchRows} ${done}/${total}`),
    });
    const placements = ['1x1', '1x2', '2x1'];
    const expected = placements.flatMap((placement) => [1, 2, 4].map((rows) => `${placement}x${rows}`));
    assert.deepEqual(
      seen,
      expected.map((setting, index) => `${setting} ${index + 1}/9`),
    );
    assert.ok(tuning.isBatchable);
    assert.ok(tuning.curve.includes(tuning.best));
    assert.ok(tuning.curve.every(({ rowsPerSecond, p99Ms }) => rowsPerSecond > 0 && p99Ms > 0));
  }).timeout(60_000);

  it('makes inputs by shape and type, by chance, of zeros, or of the values of a row', () => {
    const ports: readonly OrtPort[] = [
      { name: 'image', type: 'float32', dims: [-1, 2, -1] },
      { name: 'ids', type: 'int64', dims: [-1, 3] },
      { name: 'half', type: 'float16', dims: [-1] },
      { name: 'text', type: 'string', dims: [-1, 1] },
    ];
    const shapes = { image: [1, 2, 50] };
    const random = tuneInputs(ports, { rows: 4, shapes, data: 'random' });
    const valuesOf = (name: string): readonly (number | bigint | string)[] => [...(random[name]?.data ?? [])];
    assert.deepEqual(random['image']?.dims, [4, 2, 50]);
    const floats = valuesOf('image').map(Number);
    assert.ok(floats.every((value) => value >= 0 && value < 1));
    assert.ok(new Set(floats).size > 100);
    assert.ok(valuesOf('ids').every((value) => value === 0n || value === 1n));
    assert.ok(valuesOf('half').every((bits) => Math.floor(Number(bits) / 0x4_00) === 0x38_00 / 0x4_00));
    assert.ok(valuesOf('text').every((text) => /^[0-9a-z]{16}$/.test(String(text))));
    const zeros = tuneInputs(ports, { rows: 1, shapes, data: 'zero' });
    assert.deepEqual(zeros['ids']?.data, BigInt64Array.of(0n, 0n, 0n));
    const [, ids] = ports;
    assert.ok(ids !== undefined);
    const given = tuneInputs([ids], { rows: 2, shapes, data: { ids: [7, 8, 9] } });
    assert.deepEqual(given['ids']?.data, BigInt64Array.of(7n, 8n, 9n, 7n, 8n, 9n));
    assert.throws(
      () => tuneInputs([ids], { rows: 2, shapes, data: { ids: [7] } }),
      /1 values for input 'ids'/,
    );
  });

  it('takes the fastest, and of those that are as fast the cheapest', () => {
    const curve = [measured(1, 1, [100, 1]), measured(1, 8, [980, 4]), measured(2, 8, [1_000, 4])];
    assert.equal(bestOf(curve, undefined), curve[1]);
  });

  it('takes none above the latency that is allowed, and the lowest where all are above', () => {
    const curve = [measured(1, 1, [100, 1]), measured(1, 8, [980, 4])];
    assert.equal(bestOf(curve, 2), curve[0]);
    assert.equal(bestOf(curve, 0.5), curve[0]);
  });
});

describe('availableCores', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-cores-'));
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const coresOf = async (text: string): Promise<number> => {
    const file = path.join(folder, 'cpu.max');
    await writeFile(file, text);
    return availableCores(file);
  };

  it('keeps to the share of a container, and to at least one', async () => {
    assert.equal(await coresOf('100000 100000\n'), 1);
    assert.equal(await coresOf('20000 100000\n'), 1);
  });

  it('is what the machine has where there is no limit', async () => {
    const all = await availableCores(path.join(folder, 'none'));
    assert.ok(all >= 1);
    assert.equal(await coresOf('max 100000\n'), all);
    assert.equal(await coresOf('nonsense'), all);
  });
});
