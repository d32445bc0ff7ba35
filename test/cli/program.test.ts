import assert from 'node:assert/strict';
import { KERNEL_VERSION } from '../../kernel/version.ts';
import { runLamella as run } from '../support/run-lamella.ts';

describe('lamella, the command line', () => {
  it('prints its version and ends with 0', async () => {
    assert.deepEqual(await run(['--version']), { code: 0, out: KERNEL_VERSION, err: '' });
  });

  for (const words of [
    [],
    ['start'],
    ['plugin'],
    ['demo'],
    ['trust'],
    ['plugin', 'install'],
    ['plugin', 'pack'],
    ['call'],
    ['deploy'],
    ['config'],
    ['doctor'],
    ['completion'],
  ]) {
    it(`explains 'lamella ${words.join(' ')}' with examples and exit codes in 80 columns`, async () => {
      const { code, out } = await run([...words, '--help']);
      assert.equal(code, 0);
      assert.match(out, /\nExamples:\n {2}lamella /);
      assert.match(out, /Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no kernel answers/);
      assert.deepEqual(
        out.split('\n').filter((line) => line.length > 80),
        [],
      );
    });
  }

  it('ends with 2 for an unknown command and names the nearest', async () => {
    const { code, err } = await run(['plugn']);
    assert.equal(code, 2);
    assert.match(err, /unknown command 'plugn'[\s\S]*Did you mean plugin\?/);
  });

  for (const port of ['99999', '-1', 'http', '1.5', '']) {
    it(`ends with 2 for the port '${port}'`, async () => {
      const { code, err } = await run(['start', `--grpc-port=${port}`]);
      assert.equal(code, 2);
      assert.match(err, /must be a number from 0 to 65535/);
    });
  }

  for (const words of [['--example', 'letters'], ['--log-level', 'loud'], ['--nonsense'], ['surplus']]) {
    it(`ends with 2 for 'lamella start ${words.join(' ')}'`, async () => {
      assert.equal((await run(['start', ...words])).code, 2);
    });
  }

  it('ends with 2 when a plugin command lacks its argument', async () => {
    const { code, err } = await run(['plugin', 'load']);
    assert.equal(code, 2);
    assert.match(err, /missing required argument 'dir'/);
  });

  for (const address of ['nowhere', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:70000', 'http://127.0.0.1:8001']) {
    it(`ends with 2 for the address '${address}'`, async () => {
      const { code, err } = await run(['plugin', 'list', '--address', address]);
      assert.equal(code, 2);
      assert.match(err, /is not host:port/);
    });
  }

  it('ends with 2 when LAMELLA_ADDRESS is no address', async () => {
    const { code, err } = await run(['plugin', 'list'], {
      environment: { LAMELLA_ADDRESS: 'nowhere' },
    });
    assert.equal(code, 2);
    assert.match(err, /LAMELLA_ADDRESS: 'nowhere' is not host:port/);
  });

  it('ends with 3 and says what to check when no kernel answers', async () => {
    // Port 1 (tcpmux) is reserved and not served on loopback.
    const { code, err, out } = await run(['plugin', 'list', '--address', '127.0.0.1:1']);
    assert.equal(code, 3);
    assert.equal(out, '');
    assert.match(
      err,
      /127\.0\.0\.1:1[\s\S]*check that the process runs[\s\S]*\[LINK_UNREACHABLE\][\s\S]*lamella start[\s\S]*--address/,
    );
  });

  it('ends with 1 when the plugin folder does not exist', async () => {
    const { code, err } = await run(['start', '--grpc-port', '0', '--plugins', '/does/not/exist']);
    assert.equal(code, 1);
    assert.match(err, /plugin folder \/does\/not\/exist cannot be read/);
  });
});
