import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { addModel } from '../plugins/serving/infer-fixture.ts';
import { TestApiServer } from '../support/kubernetes/api-server.ts';
import { runLamella } from '../support/run-lamella.ts';
import { ROOT } from './lamella-process.ts';

const PLUGINS: readonly string[] = ['model/registry', 'serving/infer', 'serving/deploy'];

describe('lamella deploy', function () {
  this.timeout(120_000);
  let kernel: TestKernel;
  let folder: string;
  let cluster: TestApiServer;

  before(async () => {
    cluster = new TestApiServer();
    await cluster.start();
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-deploy-'));
    kernel = await startTestKernel({
      plugins: PLUGINS.map((plugin) => path.join(ROOT, 'dist', 'plugins', plugin)),
      config: { plugins: { 'serving.deploy': { config: { kubeconfig: path.join(folder, 'kubeconfig') } } } },
    });
    await writeFile(path.join(folder, 'kubeconfig'), cluster.kubeconfig());
    const registry = kernel.call(RegistryService);
    async function* parts(): AsyncGenerator<object> {
      yield { part: { case: 'header', value: { model: 'adder' } } };
      yield { part: { case: 'chunk', value: addModel(1) } };
    }
    await registry.createVersion(parts());
    await registry.setAlias({ name: 'models/adder/aliases/champion', version: 'models/adder/versions/1' });
    await writeFile(path.join(folder, 'spec.yaml'), 'namespace: prod\nimage: example.org/adder:1\n');
  });

  after(async () => {
    await kernel.stop();
    await cluster.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const deploy = (...words: string[]): ReturnType<typeof runLamella> =>
    runLamella(['deploy', ...words, '--home', kernel.home]);

  it('shows manifests that kubectl could take, from a spec in YAML', async () => {
    const spec = path.join(folder, 'spec.yaml');
    const { code, out, err } = await deploy('adder', '--target', 'kubernetes', '--spec', spec);
    assert.deepEqual([code, err], [0, '']);
    const objects = parseAllDocuments(out).map((document) => document.toJS() as { kind: string });
    assert.ok(objects.some(({ kind }) => kind === 'Deployment'));
    assert.match(out, /image: example\.org\/adder:1/);
    assert.match(out, /namespace: prod/);
  });

  it('shows a Dockerfile and says what else there is', async () => {
    const { code, out, err } = await deploy('adder@1', '--target', 'docker');
    assert.equal(code, 0);
    assert.match(out, /# Source: Dockerfile[\s\S]*\nFROM [\s\S]*\nUSER 65532/);
    assert.match(err, /and \d+ files that are no text, [\d.]+ MB; --output writes them/);
  });

  it('writes all files into a new folder, with one time, and into no other', async () => {
    const output = path.join(folder, 'image');
    const { code, out } = await deploy('adder', '--target', 'docker', '--output', output, '--json');
    assert.equal(code, 0);
    const { files, sizeBytes } = JSON.parse(out) as { files: number; sizeBytes: number };
    assert.ok(files > 50 && sizeBytes > 10_000_000, out);
    const model = await readFile(path.join(output, 'models/adder/1/model.onnx'));
    assert.ok(model.equals(addModel(1)));
    assert.equal((await stat(path.join(output, 'Dockerfile'))).mtimeMs, 0);
    const again = await deploy('adder', '--target', 'docker', '--output', output);
    assert.equal(again.code, 1);
    assert.match(again.err, /is not empty; give a new one/);
  });

  it('shows what would change, changes it, and then nothing would', async () => {
    const before = await deploy('adder', '--diff');
    assert.deepEqual([before.code, before.out.split('\n').at(0)], [0, '+ model adder']);
    const { code, out } = await deploy('adder', '--apply', '--json');
    assert.equal(code, 0);
    assert.deepEqual(
      out.split('\n').map((line) => (JSON.parse(line) as { state: string }).state),
      ['PENDING', 'READY'],
    );
    const after = await deploy('adder', '--diff', '--json');
    assert.deepEqual(JSON.parse(after.out), [{ resource: 'model adder', kind: 'NONE', fields: [] }]);
  });

  it('shows what would change in a cluster, changes it, and says what stands in the way', async () => {
    cluster.settle = (object) =>
      object.kind === 'Deployment'
        ? {
            ...object,
            status: { observedGeneration: 9, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
          }
        : object;
    const words = ['adder', '--target', 'kubernetes', '--spec', path.join(folder, 'spec.yaml')];
    const before = await deploy(...words, '--diff');
    assert.equal(before.code, 0, before.err);
    assert.match(before.out, /^\+ apps\/v1 Deployment prod\/adder$/m);
    assert.match(before.out, /9 to create, 0 to change, 0 to delete, 0 as they shall be$/);
    const applied = await deploy(...words, '--apply');
    assert.equal(applied.code, 0, applied.err);
    assert.match(applied.out, /deployments\/kubernetes:adder {2}models\/adder\/versions\/1 {2}READY$/);
    cluster.foreign.add('Service');
    const conflict = await deploy(...words, '--apply');
    assert.equal(conflict.code, 1);
    assert.match(conflict.err, /v1 Service prod\/adder[\s\S]*force=true[\s\S]*CLUSTER_CONFLICT/);
    assert.equal((await deploy(...words, '--apply', '--option', 'force=true')).code, 0);
  });

  const wrong: readonly [string, readonly string[], number, RegExp][] = [
    ['two actions', ['adder', '--diff', '--apply'], 2, /one of --dry-run, --diff and --apply/],
    ['an unknown target', ['adder', '--target', 'moon'], 2, /Allowed choices are/],
    ['an option without a value', ['adder', '--option', 'x'], 2, /must be NAME=VALUE/],
    ['a model that is not there', ['nobody'], 1, /nobody/],
    ['a target that has files only', ['adder', '--target', 'docker', '--apply'], 1, /TARGET_FILES_ONLY/],
    ['a spec that is not there', ['adder', '--spec', '/does/not/exist'], 1, /ENOENT/],
  ];
  for (const [what, words, expected, text] of wrong) {
    it(`ends with ${expected} for ${what}`, async () => {
      const { code, err } = await deploy(...words);
      assert.equal(code, expected, err);
      assert.match(err, text);
    });
  }

  it('ends with 1 for a spec with an unknown field, and names the field', async () => {
    const spec = path.join(folder, 'wrong.yaml');
    await writeFile(spec, 'replicas: 3\n');
    const { code, err } = await deploy('adder', '--spec', spec);
    assert.equal(code, 1);
    assert.match(err, /is no spec[\s\S]*replicas/);
  });
});
