import assert from 'node:assert/strict';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { startTestKernel } from '../../sdk/testing/index.ts';
import { addOneModel } from '../sdk/ort/models.ts';
import { runLamella } from '../support/run-lamella.ts';
import { ROOT } from './lamella-process.ts';

const QUICK = ['--cores', '1', '--max-batch', '2', '--seconds', '0.02'];

describe('lamella serve tune', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-tune-'));
    await mkdir(path.join(folder, 'model/3'), { recursive: true });
    await writeFile(path.join(folder, 'model/3/model.onnx'), addOneModel());
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('writes the best setting with its curve beside the model, and says how far it is', async () => {
    const { code, out, err } = await runLamella(['serve', 'tune', path.join(folder, 'model'), ...QUICK]);
    assert.equal(code, 0);
    const file = path.join(folder, 'model/3/model.tuned.json');
    assert.match(out, /best: 1 instances, 1 threads, batches of \d/);
    assert.match(err, /\[2\/2\] /);
    const tuned = JSON.parse(await readFile(file, 'utf8')) as {
      readonly config: object;
      readonly best: { readonly batchRows: number };
      readonly curve: readonly object[];
    };
    assert.equal(tuned.curve.length, 2);
    assert.deepEqual(tuned.config, {
      maxBatchSize: tuned.best.batchRows,
      instanceGroup: [{ count: 1, kind: 'KIND_CPU' }],
      parameters: { intra_op_thread_count: { stringValue: '1' } },
    });
  }).timeout(60_000);

  it('prints one object and writes nothing in a dry run', async () => {
    const file = path.join(folder, 'other.onnx');
    await writeFile(file, addOneModel());
    const { code, out } = await runLamella(['serve', 'tune', file, ...QUICK, '--dry-run', '--json']);
    assert.equal(code, 0);
    assert.ok('best' in (JSON.parse(out) as object));
    await assert.rejects(access(path.join(folder, 'other.tuned.json')));
  }).timeout(60_000);

  it('gives the model what a file holds, and says where that does not fit', async () => {
    const model = path.join(folder, 'data.onnx');
    await writeFile(model, addOneModel());
    const tuned = async (text: string): ReturnType<typeof runLamella> => {
      const file = path.join(folder, 'data.json');
      await writeFile(file, text);
      return runLamella(['serve', 'tune', model, ...QUICK, '--dry-run', '--input-data', file]);
    };
    assert.equal((await tuned('{"data": [{"x": {"content": [1, 2], "shape": [2]}}]}')).code, 0);
    for (const [text, problem] of [
      ['{"data": [{"x": [1, 2, 3]}]}', /3 values for input 'x', which has 2 in a row/],
      ['{"data": [{"y": [1, 2]}]}', /no values for input 'x'/],
      ['{"data": [{"x": [1, null]}]}', /no numbers/],
      ['{"data": []}', /must hold/],
      ['{', /cannot be read as JSON/],
    ] as const) {
      const { code, err } = await tuned(text);
      assert.equal(code, 1);
      assert.match(err, problem);
    }
  }).timeout(120_000);

  it('takes a version of the registry', async () => {
    const kernel = await startTestKernel({ plugins: [path.join(ROOT, 'dist/plugins/model/registry')] });
    try {
      const registry = kernel.call(RegistryService);
      async function* parts(): AsyncGenerator<object> {
        yield { part: { case: 'header', value: { model: 'adder' } } };
        yield { part: { case: 'chunk', value: addOneModel() } };
      }
      await registry.createVersion(parts());
      const words = ['--home', kernel.home, '--dry-run', '--json', ...QUICK];
      const { code, out } = await runLamella(['serve', 'tune', 'registry:adder@1', ...words]);
      assert.equal(code, 0);
      assert.equal((JSON.parse(out) as { model: string }).model, 'adder@1');
      const missing = await runLamella(['serve', 'tune', 'registry:nothing@1', ...words]);
      assert.equal(missing.code, 1);
      assert.match(missing.err, /nothing/);
    } finally {
      await kernel.stop();
    }
  }).timeout(120_000);

  it('says what to name where there is no model, and what a shape looks like', async () => {
    const missing = await runLamella(['serve', 'tune', path.join(folder, 'nothing')]);
    assert.equal(missing.code, 1);
    assert.match(missing.err, /name an ONNX file/);
    const wrong = await runLamella(['serve', 'tune', folder, '--shape', 'ids']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /ids=1x128/);
  });
});
