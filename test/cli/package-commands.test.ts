import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { runLamella } from '../support/run-lamella.ts';

describe('lamella plugin pack, sign, verify, keygen', () => {
  let echo: EchoPlugin;
  let beside: (name: string) => string;
  beforeEach(async () => {
    echo = await copyEcho();
    beside = (name) => path.join(path.dirname(echo.directory), name);
  });
  afterEach(() => echo.remove());

  async function json(words: readonly string[]): Promise<Record<string, unknown>> {
    const { code, out, err } = await runLamella([...words, '--json']);
    assert.equal(code, 0, err);
    return JSON.parse(out) as Record<string, unknown>;
  }

  it('lead from a folder to a signed archive that others can check', async () => {
    const { key } = await json(['plugin', 'keygen', beside('me')]);
    assert.match(String(key), /^ed25519:/);
    assert.equal((await stat(beside('me.key'))).mode & 0o777, 0o600);
    const archive = beside('echo.tgz');
    const packed = await json(['plugin', 'pack', echo.directory, '-o', archive]);
    assert.equal(packed['id'], 'example.echo');
    assert.equal(packed['signer'], null);
    const signed = await json(['plugin', 'sign', archive, '--key', beside('me.key')]);
    assert.deepEqual(signed, { ...packed, signer: key });
    assert.deepEqual(await json(['plugin', 'verify', archive]), signed);
  });

  it('say in words what they did and what comes next', async () => {
    const archive = beside('echo.tgz');
    const { out } = await runLamella(['plugin', 'pack', echo.directory, '-o', archive]);
    assert.match(out, /^example\.echo 0\.1\.0 is packed: .*echo\.tgz\n {2}\d files, [\d.]+ kB\n {2}sha256:/);
    assert.match(out, /not signed; 'lamella plugin sign/);
  });

  it('overwrite no key', async () => {
    await runLamella(['plugin', 'keygen', beside('me')]);
    const before = await readFile(beside('me.key'), 'utf8');
    const { code, err } = await runLamella(['plugin', 'keygen', beside('me')]);
    assert.equal(code, 1);
    assert.match(err, /exists and is\s+not overwritten/);
    assert.equal(await readFile(beside('me.key'), 'utf8'), before);
  });

  it('end with 1 and a sentence for a damaged archive', async () => {
    const archive = beside('echo.tgz');
    await runLamella(['plugin', 'pack', echo.directory, '-o', archive]);
    await writeFile(archive, (await readFile(archive)).subarray(0, 300));
    const { code, err } = await runLamella(['plugin', 'verify', archive]);
    assert.equal(code, 1);
    assert.match(err, /cut off\. \[PACKAGE_INVALID\]/);
  });

  it('end with 2 when signing without a key', async () => {
    assert.equal((await runLamella(['plugin', 'sign', 'x.tgz'])).code, 2);
  });
});
