import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { ROOT } from '../serving-kernel.ts';
import { needTool, runTool, toolCache } from '../tool.ts';
import { pythonWithClient } from './client-python.ts';
import { exampleModels, writeExampleModels } from './triton-models.ts';

type Numbers = readonly number[];
type Failure = readonly [string, string];

interface Inferred {
  readonly simple: readonly (readonly Numbers[])[];
  readonly string: readonly Numbers[];
  readonly identity: readonly boolean[];
  readonly unknown: Failure;
  readonly sequences: readonly Numbers[];
  readonly control: readonly [boolean, Failure, number, Failure, Failure];
  readonly shared: Numbers;
}

interface Report {
  readonly server: readonly string[];
  readonly grpc: Inferred;
  readonly http: Inferred;
  readonly custom: readonly Numbers[];
  readonly callbacks: readonly (readonly Numbers[])[];
  readonly streams: { readonly sequences: Readonly<Record<string, Numbers>>; readonly repeated: Numbers };
  readonly explicit: readonly (readonly Numbers[])[];
  readonly asynchronous: {
    readonly grpc: readonly Numbers[];
    readonly http: readonly Numbers[];
    readonly statistics: number;
    readonly stream: Numbers;
  };
  readonly bodies: {
    readonly plain: readonly Numbers[];
    readonly packed: readonly Numbers[];
    readonly raw: string;
  };
  readonly index: readonly string[];
}

const counted = (first: number): number[] => Array.from({ length: 16 }, (_, index) => first + index);
const SUM_AND_DIFFERENCE = [counted(1), counted(-1)];
const VALUES = [11, 7, 5, 3, 2, 0, 1];

/** The example in Python where a package would have it, with its packages. */
async function pythonBackend(folder: string): Promise<string> {
  const directory = path.join(folder, 'examples', 'python-backend');
  await mkdir(path.dirname(directory), { recursive: true });
  const isSource = (file: string): boolean => path.basename(file) !== '.venv';
  await cp(path.join(ROOT, 'examples', 'python-backend'), directory, { recursive: true, filter: isSource });
  await symlink(path.join(ROOT, 'proto'), path.join(folder, 'proto'));
  const environment = await toolCache('python-template');
  await runTool('python3', ['-m', 'venv', environment]);
  const pip = ['-m', 'pip', 'install', '--quiet', '-r', path.join(directory, 'requirements.txt')];
  await runTool(path.join(environment, 'bin/python'), pip);
  await symlink(environment, path.join(directory, '.venv'));
  return directory;
}

describe("what NVIDIA's published examples do, with their unmodified client", function () {
  this.timeout(300_000);
  let folder: string;
  let kernel: TestKernel | undefined;
  let report: Report;

  before(async function () {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-examples-'));
    const python = await needTool(this, 'Python with tritonclient', pythonWithClient);
    const backend = await needTool(this, 'what the backend in Python needs', () => pythonBackend(folder));
    const models = path.join(folder, 'models');
    await writeExampleModels(models);
    const options = {
      modelRepositories: [models],
      serverName: 'triton',
      allowSharedMemory: true,
      allowSentFiles: true,
    };
    kernel = await startTestKernel({
      plugins: [
        path.join(ROOT, 'dist/plugins/model/registry'),
        path.join(ROOT, 'dist/plugins/serving/infer'),
        path.join(ROOT, 'examples/repeat-backend'),
        backend,
      ],
      // The examples send no credentials, and some of them load models.
      config: { access: { anonymous: 'admin' }, plugins: { 'serving.infer': { config: options } } },
    });
    const { grpc, http } = kernel.addresses;
    const load = (model: string): Promise<Response> =>
      fetch(`http://${http}/v2/repository/models/${model}/load`, { method: 'POST' });
    for (const model of Object.keys(exampleModels())) assert.equal((await load(model)).status, 200, model);
    const script = path.join(ROOT, 'test/e2e/python/examples.py');
    report = JSON.parse(await runTool(python, [script, grpc, http])) as Report;
  });
  after(async () => {
    await kernel?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  for (const transport of ['grpc', 'http'] as const) {
    it(`answers numbers and strings, also by a backend in Python: ${transport}`, () => {
      const { simple, string, identity, unknown } = report[transport];
      assert.deepEqual(simple, [SUM_AND_DIFFERENCE, [counted(2), counted(-2)]]);
      assert.deepEqual(string, SUM_AND_DIFFERENCE);
      assert.deepEqual(identity, [true, true]);
      assert.match(unknown[1], /^Request for unknown model/);
    });

    it(`keeps sequences apart and tells models their start, end and id: ${transport}`, () => {
      const [plain, dynamic] = report[transport].sequences;
      assert.deepEqual(plain, [1, ...VALUES]);
      assert.deepEqual(dynamic, [1, ...VALUES.with(-1, 1 + 9)]);
    });

    it(`loads, overrides, refuses and unloads: ${transport}`, () => {
      const [isReady, wrongConfig, maxBatchSize, longName, unknown] = report[transport].control;
      assert.deepEqual([isReady, maxBatchSize], [false, 16]);
      assert.match(wrongConfig[1], /failed to load/);
      assert.match(longName[1], /failed to poll from model repository/);
      assert.equal(longName[0], transport === 'grpc' ? 'StatusCode.INTERNAL' : '500');
      assert.match(unknown[1], /failed to load/);
    });

    it(`takes tensors from system shared memory and puts them there: ${transport}`, () => {
      assert.deepEqual(report[transport].shared, SUM_AND_DIFFERENCE.flat());
    });
  }

  it('has the name that clients check, and lists all models', () => {
    assert.deepEqual(report.server, ['triton', 'triton']);
    assert.deepEqual([...report.index].toSorted(), Object.keys(exampleModels()).toSorted());
  });

  it('answers clients with channel arguments, callbacks, keep-alive and asyncio', () => {
    assert.deepEqual(report.custom, SUM_AND_DIFFERENCE);
    assert.deepEqual(
      report.callbacks,
      Array.from({ length: 8 }, () => SUM_AND_DIFFERENCE),
    );
    const { grpc, http, statistics, stream } = report.asynchronous;
    assert.deepEqual([grpc, http], [SUM_AND_DIFFERENCE, SUM_AND_DIFFERENCE]);
    assert.equal(statistics, 1);
    assert.deepEqual(stream, VALUES.with(0, 12));
  });

  it('answers sequences and a decoupled model over one stream', () => {
    const { sequences, repeated } = report.streams;
    assert.deepEqual(sequences['simple_sequence'], [21, ...VALUES]);
    assert.deepEqual(sequences['simple_dyna_sequence'], [21, ...VALUES.with(-1, 1 + 11)]);
    assert.deepEqual(sequences['simple_string_dyna_sequence'], [20, 31, 38, 43, 46, 48, 48, 49 + 12]);
    assert.deepEqual(
      repeated,
      Array.from({ length: 10 }, (_, index) => 100 + index),
    );
  });

  it('takes typed contents', () => {
    assert.deepEqual(
      report.explicit,
      Array.from({ length: 3 }, () => SUM_AND_DIFFERENCE),
    );
  });

  it('takes JSON, packed and raw bodies', () => {
    const { plain, packed, raw } = report.bodies;
    assert.deepEqual([plain, packed], [SUM_AND_DIFFERENCE, SUM_AND_DIFFERENCE]);
    assert.equal(raw, '\u0003\0\0\0raw');
  });
});
