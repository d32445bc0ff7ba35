import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Check } from '../../kernel/cli/doctor/check.ts';
import { checksText } from '../../kernel/cli/doctor/check.ts';
import { startTestKernel } from '../../sdk/testing/index.ts';
import { runLamella } from '../support/run-lamella.ts';

interface Report {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

const FREE_PORTS = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
const NOBODY = { LAMELLA_ADDRESS: '127.0.0.1:1' };

describe('lamella doctor', function () {
  this.timeout(60_000);
  let home = '';

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-doctor-'));
  });

  afterEach(async () => {
    await rm(home, { recursive: true, force: true });
  });

  function find({ checks }: Report, name: string): Check {
    return checks.find((check) => check.name === name) ?? assert.fail(`no check '${name}'`);
  }

  it('finds this machine fit: Node.js, native packages and a provider that has run a model', async () => {
    const words = ['doctor', '--json', '--home', home, ...FREE_PORTS];
    const { code, out } = await runLamella(words, { environment: NOBODY });
    const report = JSON.parse(out) as Report;
    assert.deepEqual([code, report.ok], [0, true], out);
    for (const name of [
      'node',
      'home',
      'native.lmdb',
      'native.onnxruntime-node',
      'native.@duckdb/node-api',
    ]) {
      assert.equal(find(report, name).verdict, 'ok', name);
    }
    assert.deepEqual(find(report, 'onnx.cpu'), { name: 'onnx.cpu', verdict: 'ok', detail: 'runs a model' });
    assert.match(find(report, 'kernel').detail, /none answers at 127\.0\.0\.1:1/);
  });

  it('names the process that has a port, and ends with 1 for a configuration that is wrong', async () => {
    await writeFile(path.join(home, 'config.json'), '{"drainMs": "long"}');
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const words = ['doctor', '--json', '--home', home, ...FREE_PORTS.slice(2), '--grpc-port', String(port)];
      const { code, out } = await runLamella(words, { environment: NOBODY });
      const report = JSON.parse(out) as Report;
      assert.equal(code, 1);
      assert.equal(find(report, 'config').verdict, 'failed');
      const taken = find(report, 'port.grpc');
      assert.equal(taken.verdict, 'warning');
      if (process.platform === 'linux')
        assert.ok(taken.detail.includes(`process ${process.pid}`), taken.detail);
      assert.equal(find(report, 'port.http').verdict, 'ok');
    } finally {
      server.close();
    }
  });

  it('tells how the plugins of a running kernel are, in lines of 80 columns', async () => {
    const kernel = await startTestKernel({ plugins: [] });
    try {
      const words = ['doctor', '--home', kernel.home, ...FREE_PORTS];
      const { out } = await runLamella(words, { environment: { LAMELLA_ADDRESS: kernel.addresses.grpc } });
      assert.match(out, /ok +kernel +answers at 127\.0\.0\.1:\d+; 0 of 0\s+plugins\s+are\s+active/);
    } finally {
      await kernel.stop();
    }
  });

  it('hangs long texts below their first line and puts what to do under them', () => {
    const detail = 'word '.repeat(30).trim();
    const text = checksText([{ name: 'a.name', verdict: 'failed', detail, repair: 'mend it' }]);
    const lines = text.split('\n');
    assert.deepEqual(
      lines.filter((line) => line.length > 80),
      [],
    );
    assert.equal(lines[0]?.startsWith('failed  a.name  word'), true);
    assert.equal(lines.at(-1), `${' '.repeat(16)}-> mend it`);
  });
});
