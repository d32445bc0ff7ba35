import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Lamella } from './lamella-process.ts';

interface Figures {
  readonly rows: number;
  readonly holdoutRows: number;
  readonly accuracy: number;
  readonly modelSizeBytes: number;
  readonly modelVersion: string;
  readonly stagesMs: Readonly<Record<string, number>>;
  readonly prediction: { readonly label: number; readonly expected: number; readonly probability: number };
}

const STAGES = [
  'collect',
  'store',
  'clean',
  'preprocess',
  'quality',
  'train',
  'evaluate',
  'register',
  'deploy',
  'ready',
];

describe('the digits example on the command line', function () {
  this.timeout(120_000);
  let folder = '';

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-test-'));
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('goes from nothing to a right prediction and prints one JSON object', async () => {
    const { code, out, err } = await new Lamella(['demo', '--json']).ended;
    assert.equal(code, 0, err);
    const figures = JSON.parse(out) as Figures;
    assert.equal(figures.rows, 10_000);
    assert.ok(figures.holdoutRows > 1_500 && figures.holdoutRows < 2_500, String(figures.holdoutRows));
    assert.ok(figures.accuracy >= 0.91, `accuracy ${figures.accuracy}`);
    assert.equal(figures.modelVersion, 'models/digits/versions/1');
    assert.deepEqual(Object.keys(figures.stagesMs), STAGES);
    assert.equal(figures.prediction.label, figures.prediction.expected);
    assert.ok(figures.prediction.probability > 0.1 && figures.prediction.probability <= 1);
    const lines = err.split('\n').map((line) => line.split(' ')[0]);
    assert.deepEqual(
      STAGES.filter((stage) => !lines.includes(stage)),
      [],
      'each stage is a line on stderr',
    );
  });

  it('trains the convolutional network to 0.97', async function () {
    if (process.env['CI'] !== 'true') {
      process.stdout.write('      skipped: it trains for half a minute; set CI=true to run it\n');
      return this.skip();
    }
    this.timeout(300_000);
    const { code, out, err } = await new Lamella(['demo', '--architecture', 'cnn', '--json']).ended;
    assert.equal(code, 0, err);
    const { accuracy, stagesMs } = JSON.parse(out) as Figures;
    process.stdout.write(`      accuracy ${accuracy}, ${stagesMs['train']} ms of training\n`);
    assert.ok(accuracy >= 0.97, `accuracy ${accuracy}`);
  });

  it('finds everything in place at the second start', async () => {
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    const start = async (): Promise<string[]> => {
      const kernel = new Lamella([
        'start',
        '--example',
        'digits',
        '--home',
        path.join(folder, 'home'),
        ...ports,
      ]);
      await kernel.printed('ready: ');
      kernel.process.kill('SIGTERM');
      const { code, out, err } = await kernel.ended;
      assert.equal(code, 0, err);
      return out.split('\n').map((line) => line.split(' ')[0] ?? '');
    };
    const stagesOf = (lines: readonly string[]): string[] => STAGES.filter((stage) => lines.includes(stage));
    assert.deepEqual(stagesOf(await start()), STAGES);
    assert.deepEqual(stagesOf(await start()), ['ready']);
  });
});
