import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { PLUGINS } from '../plugins/serving/balance/balance-subject.ts';
import { runLamella } from '../support/run-lamella.ts';

const TRAFFIC = `
model: digits
splits:
  - { label: stable, version: "1", weight: 1 }
  - { label: canary, version: "2" }
canary: { steps: [10, 50], manual: true }
`;

describe('lamella balance', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-balance-'));
    kernel = await startTestKernel({ plugins: PLUGINS });
  });
  after(async () => {
    await kernel?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const lamella = (...words: string[]): ReturnType<typeof runLamella> =>
    runLamella(['balance', ...words, '--home', kernel.home]);

  it('sets traffic from a file, shows it, and moves its canary', async () => {
    const file = path.join(folder, 'digits.yaml');
    await writeFile(file, TRAFFIC);
    assert.match((await lamella('list')).out, /No model's requests are balanced/);
    assert.match((await lamella('set', file)).out, /digits +canary +0 +\d of 1 +10 %, RUNNING/);
    assert.match((await lamella('promote', 'digits')).out, /50 %, RUNNING/);
    assert.match((await lamella('rollback', 'digits')).out, /0 %, ROLLED_BACK/);
    const { out } = await lamella('list', '--json');
    const [shown] = JSON.parse(out) as { model: string; canaryStatus: { state: string } }[];
    assert.deepEqual([shown?.model, shown?.canaryStatus.state], ['digits', 'CANARY_STATE_ROLLED_BACK']);
  });

  it('says what is wrong with a file', async () => {
    const file = path.join(folder, 'wrong.yaml');
    await writeFile(file, 'modell: digits\n');
    const { code, err } = await lamella('set', file);
    assert.equal(code, 1);
    assert.match(err, /is no Traffic: [^]*modell/);
  });
});
