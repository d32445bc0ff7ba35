import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { withService } from '../../../kernel/cli/connect.ts';
import { runProgram } from '../../../kernel/cli/program.ts';
import { createKernel, type Kernel } from '../../../kernel/kernel.ts';
import { Health } from '../../../proto/gen/grpc/health/v1/health_pb.ts';
import { ROOT } from '../../support/echo-plugin.ts';

describe('a kernel that other machines can reach', () => {
  let home = '';
  let kernel: Kernel;

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-test-'));
    kernel = createKernel({
      home,
      host: '0.0.0.0',
      grpcPort: 0,
      httpPort: 0,
      metricsPort: 0,
      pluginDirectories: [path.join(ROOT, 'examples/echo')],
      logLevel: 'silent',
    });
  });

  afterEach(async () => {
    await kernel.stop();
    await rm(home, { recursive: true, force: true });
  });

  it('does not start without credentials, and says the ways out', async () => {
    await assert.rejects(kernel.start(), (error: Error & { reason?: string }) => {
      assert.equal(error.reason, 'LISTENER_UNPROTECTED');
      for (const way of ['lamella key create', 'access.jwt', 'access.peers', '127.0.0.1']) {
        assert.ok(error.message.includes(way), way);
      }
      return true;
    });
    await writeFile(path.join(home, 'config.json'), JSON.stringify({ access: { anonymous: 'admin' } }));
    await assert.rejects(kernel.start(), { reason: 'LISTENER_UNPROTECTED' });
  });

  it('serves those who have a key, and health to everybody', async () => {
    const out: string[] = [];
    await runProgram(['key', 'create', 'ci', '--home', home], {
      out: (line) => out.push(line),
      err: () => undefined,
      isInteractive: false,
      environment: {},
      exit: () => undefined,
    });
    const { grpc, http, metrics } = await kernel.start();
    const target = { host: '127.0.0.1', port: Number(grpc.split(':')[1]) };
    const say = (headers: ReadonlyMap<string, string>): Promise<unknown> =>
      withService({ target, headers: new Map(headers) }, EchoService, (echo) => echo.say({}));
    await say(new Map([['authorization', `Bearer ${out[0]}`]]));
    await assert.rejects(say(new Map()), { reason: 'CREDENTIALS_REQUIRED' });
    await withService(target, Health, (health) => health.check({ service: '' }));
    for (const address of [http, metrics]) {
      assert.equal((await fetch(`http://127.0.0.1:${address.split(':')[1]}/metrics`)).status, 401);
    }
  });

  it('does not start with rules that cannot work, and names every one', async () => {
    const access = {
      anonymous: 'guest',
      roles: { admin: ['*'], own: ['not a rule'] },
      jwt: [{ issuer: 'i', audience: 'a', jwks: 'http://example.org/jwks', roles: { x: ['nobody'] } }],
      peers: { 'spiffe://example.org/*': ['user'] },
    };
    await writeFile(path.join(home, 'config.json'), JSON.stringify({ access }));
    await assert.rejects(kernel.start(), (error: Error) => {
      for (const part of [
        "'admin' is fixed",
        "'guest'",
        "'not a rule'",
        'https URL',
        "'nobody'",
        'tls.clientCa',
      ]) {
        assert.ok(error.message.includes(part), `${part} in: ${error.message}`);
      }
      return true;
    });
    const weak = [{ issuer: 'i', audience: 'a', jwks: 'f', algorithms: ['HS256'] }];
    await writeFile(path.join(home, 'config.json'), JSON.stringify({ access: { jwt: weak } }));
    await assert.rejects(kernel.start(), { reason: 'CONFIG_INVALID' });
  });
});
