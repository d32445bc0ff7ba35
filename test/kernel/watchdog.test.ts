import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, watch, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { create, toBinary } from '@bufbuild/protobuf';
import { startTestKernel } from '../../sdk/testing/index.ts';
import { EchoService, SayRequestSchema } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, ROOT } from '../support/echo-plugin.ts';

const SAMPLE = /lamella_plugin_blocked_seconds_total\{plugin="example\.echo",isolation="(\w+)"\} ([\d.]+)/;

for (const isolation of ['INLINE', 'WORKER'] as const) {
  describe(`a plugin at ${isolation} that blocks its thread`, function () {
    this.timeout(30_000);

    it('is named, with the time for which it did', async () => {
      const plugin = await copyEcho();
      await plugin.useContractPlugin();
      const config = { blockedMs: 200, plugins: { 'example.echo': { isolation } } };
      const kernel = await startTestKernel({ plugins: [plugin.directory], config });
      const metrics = async (): Promise<string> =>
        (await fetch(`http://${kernel.addresses.metrics}/metrics`)).text();
      // The watching thread has looked at least once when it can tell a stop from a start.
      await kernel.call(EchoService).say({ delayMs: 1_000 });
      assert.doesNotMatch(await metrics(), SAMPLE);
      await kernel.call(EchoService).say({ payload: Buffer.from('spin') });
      let sample: RegExpExecArray | null = null;
      for (const endMs = Date.now() + 5_000; sample === null && Date.now() < endMs;) {
        sample = SAMPLE.exec(await metrics());
      }
      assert.equal(sample?.[1], isolation);
      assert.ok(Number(sample?.[2]) > 0.5 && Number(sample?.[2]) < 15, `${sample?.[2]} s`);
      await kernel.stop();
      await plugin.remove();
    });
  });
}

describe('a plugin that never gives the kernel its thread back', function () {
  this.timeout(60_000);

  it('is named on stderr although the kernel cannot', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-blocked-'));
    const plugin = await copyEcho();
    await plugin.useContractPlugin();
    await writeFile(path.join(home, 'config.json'), JSON.stringify({ blockedMs: 200 }));
    const ready = path.join(home, 'ready.json');
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    const program = path.join(ROOT, 'dist/kernel/cli/main.js');
    const child = spawn(
      process.execPath,
      [program, 'start', '--home', home, '--plugins', plugin.directory, ...ports, '--ready-file', ready],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let errors = '';
    const isNamed = new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        errors += chunk.toString();
        if (errors.includes('blocks the kernel')) resolve();
      });
    });
    for await (const { filename } of watch(home)) if (filename === 'ready.json') break;
    const { grpc: address } = JSON.parse(await readFile(ready, 'utf8')) as { grpc: string };
    const client = new grpc.Client(address, grpc.credentials.createInsecure());
    const request = toBinary(SayRequestSchema, create(SayRequestSchema, { payload: Buffer.from('hang') }));
    client.makeUnaryRequest(
      '/echo.v1.EchoService/Say',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      Buffer.from(request),
      () => undefined,
    );
    await isNamed;
    assert.match(errors, /"plugin":"example\.echo","blockedMs":\d{4}/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    client.close();
    await plugin.remove();
    await rm(home, { recursive: true, force: true });
  });
});
