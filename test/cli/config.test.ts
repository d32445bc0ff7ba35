import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Setting } from '../../kernel/cli/config/setting.ts';
import { runLamella } from '../support/run-lamella.ts';

describe('lamella config', () => {
  let home = '';

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-config-'));
  });

  afterEach(async () => {
    await rm(home, { recursive: true, force: true });
    delete process.env['LAMELLA_HTTP_PORT'];
  });

  async function write(config: unknown): Promise<void> {
    await writeFile(path.join(home, 'config.json'), JSON.stringify(config));
  }

  it('prints each value with where it comes from', async () => {
    await write({
      drainMs: 5_000,
      plugins: { 'data.store': { config: { maxBatchBytes: 1_048_576 }, secrets: { key: 'STORE_KEY' } } },
    });
    process.env['LAMELLA_HTTP_PORT'] = '8100';
    const words = ['config', 'print', '--json', '--grpc-port', '9001'];
    const { code, out } = await runLamella(words, { environment: { LAMELLA_HOME: home } });
    assert.equal(code, 0);
    const settings = new Map((JSON.parse(out) as Setting[]).map((setting) => [setting.name, setting]));
    const expected: readonly (readonly [string, unknown, string])[] = [
      ['home', home, 'environment'],
      ['grpcPort', 9001, 'flag'],
      ['httpPort', 8100, 'environment'],
      ['metricsPort', 8002, 'default'],
      ['drainMs', 5_000, 'file'],
      ['rollbackWindowMs', 120_000, 'default'],
      ['plugins.data.store.config.maxBatchBytes', 1_048_576, 'file'],
      ['plugins.data.store.secrets.key', 'STORE_KEY', 'file'],
      ['plugins.data.store.isolation', 'PROCESS', 'default'],
      ['plugins.data.engine.config.threads', 2, 'default'],
    ];
    for (const [name, value, origin] of expected) {
      assert.deepEqual(settings.get(name), { name, value, origin }, name);
    }
  });

  it('prints a table of 80 columns', async () => {
    const { out } = await runLamella(['config', 'print', '--home', home]);
    assert.match(out, /^ option +value +origin$/m);
    assert.deepEqual(
      out.split('\n').filter((line) => line.length > 80),
      [],
    );
  });

  it('finds a configuration in order', async () => {
    const { code, out } = await runLamella(['config', 'check', '--home', home]);
    assert.equal(code, 0);
    assert.match(out, /^In order: \d+ values\.$/);
  });

  it('names everything that is wrong at once and ends with 1', async () => {
    await write({
      plugins: {
        'data.stor': {},
        'app.console': { isolation: 'PROCESS' },
        'data.store': { config: { maxBatchBites: 1 } },
      },
    });
    const { code, out } = await runLamella(['config', 'check', '--json', '--home', home]);
    assert.equal(code, 1);
    const { ok, problems } = JSON.parse(out) as { ok: boolean; problems: string[] };
    assert.equal(ok, false);
    const text = problems.join('\n');
    assert.match(text, /plugins\.data\.stor names no plugin.*perhaps 'data\.store' is meant/);
    assert.match(text, /no option 'maxBatchBites', perhaps 'maxBatchBytes' is meant/);
    assert.match(text, /plugins\.app\.console\.isolation is PROCESS; the plugin allows INLINE/);
  });

  it('names a file that is no JSON', async () => {
    await writeFile(path.join(home, 'config.json'), '{');
    const { code, err } = await runLamella(['config', 'print', '--home', home]);
    assert.equal(code, 1);
    assert.match(err, /config\.json\s+is not JSON/);
  });
});
