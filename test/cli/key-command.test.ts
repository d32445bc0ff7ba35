import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { parseAddress, withService } from '../../kernel/cli/connect.ts';
import { parseLife } from '../../kernel/cli/key-command.ts';
import { runProgram } from '../../kernel/cli/program.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { ROOT } from '../support/echo-plugin.ts';

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('lamella key and access', () => {
  let home = '';
  let kernel: TestKernel | undefined;

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-test-'));
  });

  afterEach(async () => {
    await kernel?.stop();
    kernel = undefined;
    await rm(home, { recursive: true, force: true });
  });

  async function run(...words: readonly string[]): Promise<Run> {
    const [out, err]: [string[], string[]] = [[], []];
    const code = await runProgram(words, {
      out: (line) => out.push(line),
      err: (line) => err.push(line),
      isInteractive: false,
      environment: { LAMELLA_HOME: home },
      exit: () => assert.fail('exit'),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  async function start(): Promise<TestKernel> {
    kernel = await startTestKernel({
      home,
      plugins: [path.join(ROOT, 'examples/echo')],
      config: { access: { anonymous: 'none' } },
    });
    return kernel;
  }

  async function say(running: TestKernel, key: string): Promise<void> {
    const headers = new Map([['x-api-key', key]]);
    await withService({ target: parseAddress(running.addresses.grpc), headers }, EchoService, (echo) =>
      echo.say({}),
    );
  }

  it('makes a key before the kernel is started, which works once it is', async () => {
    const made = await run('key', 'create', 'ci', '--scope', 'user', '--expires', '12h');
    assert.equal(made.code, 0, made.err);
    assert.match(made.out, /^lml_\S+$/, 'the key alone is on stdout, for scripts');
    assert.match(made.err, /'ci' \(user\)/);
    await say(await start(), made.out);
  });

  it('makes, lists and revokes keys of a kernel that runs', async () => {
    const running = await start();
    const made = await run('key', 'create', 'ci', '--scope', 'echo.v1.EchoService/*', '--json');
    const { text, name, expires } = JSON.parse(made.out) as { text: string; name: string; expires: string };
    assert.equal(name, 'ci');
    assert.ok(Math.abs(Date.parse(expires) - Date.now() - 90 * 86_400_000) < 60_000);
    await say(running, text);
    const [row] = JSON.parse((await run('key', 'list', '--json')).out) as Record<string, unknown>[];
    assert.deepEqual(row?.['scopes'], ['echo.v1.EchoService/*']);
    assert.notEqual(row?.['lastUse'], 'never');
    const table = await run('key', 'list');
    assert.match(table.out, /^NAME +ID +SCOPES[^]*\nci +[0-9a-f]{12} /);
    assert.ok(!table.out.includes(text.slice(17)));
    assert.match((await run('key', 'revoke', 'ci')).out, /is revoked/);
    await assert.rejects(say(running, text), { reason: 'CREDENTIALS_INVALID' });
    assert.match((await run('key', 'list')).out, /no API keys/);
  });

  it('says what is wrong with a request', async () => {
    const scope = await run('key', 'create', 'ci', '--scope', 'root');
    assert.deepEqual([scope.code, /API_KEY_INVALID/.test(scope.err)], [1, true]);
    assert.match(scope.err, /admin, local, none,\s+page, user, viewer/);
    const missing = await run('key', 'revoke', 'ci');
    assert.deepEqual([missing.code, /API_KEY_NOT_FOUND/.test(missing.err)], [1, true]);
    assert.equal((await run('key', 'create', 'ci', '--expires', 'soon')).code, 2);
    for (const life of ['', '0d', '-1d', '1y', '1.5h']) assert.throws(() => parseLife(life));
    assert.deepEqual([parseLife('30m'), parseLife('never')], [1_800_000, undefined]);
  });

  it('lets the owner call methods by name, for which others need a key', async () => {
    const { addresses } = await start();
    const words = ['call', '--address', addresses.grpc, '--json', 'AccessService/ListKeys'];
    const owner = await run(...words);
    assert.deepEqual([owner.code, owner.out], [0, '{}'], owner.err);
    const other = await run(...words, '-H', 'authorization: Basic none');
    assert.notEqual(other.code, 0);
    assert.match(other.err, /CREDENTIALS_REQUIRED/);
  });

  it('explains a decision with and without a kernel', async () => {
    const words = ['access', 'explain', '--as', 'anonymous', 'lamella.kernel.v1.PluginService/LoadPlugin'];
    assert.match((await run(...words)).out, /^anonymous \(local\) may not call/);
    await start();
    const answer = JSON.parse((await run(...words, '--json')).out) as Record<string, unknown>;
    assert.deepEqual([answer['allowed'], answer['grants']], [false, ['none']]);
  });
});
