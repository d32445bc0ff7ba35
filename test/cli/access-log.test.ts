import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { RegistryService } from '../../proto/gen/lamella/model/v1/registry_service_pb.ts';
import { PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import { Lamella, ROOT } from './lamella-process.ts';

interface Addresses {
  readonly grpc: string;
  readonly http: string;
}

type Line = Readonly<Record<string, unknown>>;

const { say, repeat } = EchoService.method;

describe('the access log on stderr', function () {
  this.timeout(60_000);
  let home = '';
  let kernel: Lamella;
  let addresses: Addresses;
  let client: GrpcClient;

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-access-log-'));
    const config = { accessLog: { calls: 'all', file: 'stderr' } };
    await writeFile(path.join(home, 'config.json'), JSON.stringify(config));
    const file = path.join(home, 'ready.json');
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    const echo = path.join(ROOT, 'examples', 'echo');
    kernel = new Lamella(['start', '--home', home, ...ports, '--plugins', echo, '--ready-file', file]);
    await kernel.printed('ready:');
    addresses = JSON.parse(await readFile(file, 'utf8')) as Addresses;
    client = new GrpcClient(addresses.grpc);
  });

  afterEach(async () => {
    client.close();
    kernel.process.kill('SIGKILL');
    await kernel.ended;
    await rm(home, { recursive: true, force: true });
  });

  /** Calls that the kernel has written by its end. Each line is JSON, but for what it says to people about the signal. */
  async function lines(): Promise<Line[]> {
    kernel.process.kill('SIGTERM');
    const { err } = await kernel.ended;
    return (
      err
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('SIGTERM: '))
        .map((line) => JSON.parse(line) as Line)
        .filter((line) => line['protocol'] !== undefined)
        // Calls of two connections end in either order.
        .toSorted((a, b) => (String(a['method']) < String(b['method']) ? -1 : 1))
    );
  }

  it('has one line of JSON for each call: answered, denied, failed, cancelled, and over HTTP', async () => {
    await client.unary(say, { payload: Buffer.from('hello') });
    await assert.rejects(client.unary(PluginService.method.unloadPlugin, { id: 'example.echo' }));
    await assert.rejects(client.unary(RegistryService.method.listModels, {}));
    const endless = { payload: Buffer.alloc(64 * 1024), count: 1_000_000 };
    for await (const _answer of client.stream(repeat, endless)) break;
    await (await fetch(`http://${addresses.http}/healthz/live`)).text();
    await (await fetch(`http://${addresses.http}/nothing/there`)).text();
    const all = await lines();
    assert.deepEqual(
      all.map((line) => [
        line['principal'],
        line['method'],
        line['code'] ?? line['httpStatus'],
        line['reason'],
      ]),
      [
        ['anonymous', '/echo.v1.EchoService/Repeat', 'CANCELLED', undefined],
        ['anonymous', '/echo.v1.EchoService/Say', 'OK', undefined],
        [
          'unknown',
          '/lamella.kernel.v1.PluginService/UnloadPlugin',
          'UNAUTHENTICATED',
          'CREDENTIALS_REQUIRED',
        ],
        ['anonymous', '/lamella.model.v1.RegistryService/ListModels', 'UNIMPLEMENTED', 'SERVICE_NOT_FOUND'],
        ['anonymous', 'GET /healthz/live', 200, undefined],
        ['anonymous', 'GET /nothing/there', 404, 'HTTP_PATH_NOT_FOUND'],
      ],
    );
    assert.equal(all[0]?.['cancelledBy'], 'caller');
    for (const line of all) {
      assert.ok(Number(line['durationMs']) >= 0 && String(line['peer']).startsWith('127.0.0.1:'));
      assert.ok(Math.abs(Date.parse(String(line['time'])) - Date.now()) < 60_000);
      assert.match(String(line['requestId']), /^[\w-]+$/);
    }
  });

  it('is shown while calls end by `lamella access log`, until it is told to stop', async () => {
    const watching = new Lamella(['access', 'log', '--failed', '--json', '--home', home]);
    // It says so when it is in place.
    await once(watching.process.stderr ?? assert.fail('it has no stderr'), 'data');
    await client.unary(say, {});
    const shown = watching.printed('HTTP_PATH_NOT_FOUND');
    await (await fetch(`http://${addresses.http}/nothing/there`)).text();
    await shown;
    watching.process.kill('SIGINT');
    const { code, out, err } = await watching.ended;
    assert.equal(code, 0, err);
    const seen = out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as Line)['method']);
    assert.deepEqual(seen, ['GET /nothing/there']);
  });
});
