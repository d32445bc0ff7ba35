import assert from 'node:assert/strict';
import { PluginService } from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import { makeTextPlugin, type TextPlugin } from '../../support/text-plugin.ts';
import { processesWith, rawCall, textMessage, until } from './processes.ts';

const ID = 'example.shout';
const MIB = 1024 * 1024;

/** What the plugin writes, as fast as it is taken and without end, from the first call on. */
const FLOODS: Readonly<Record<string, string>> = {
  'lines on stdout': "process.stdout, Buffer.from('flooded\\n'.repeat(8192))",
  'lines on stderr': "process.stderr, Buffer.from('flooded\\n'.repeat(8192))",
  'a line without an end': "process.stdout, Buffer.alloc(65536, 'x')",
  'bytes that are no text': 'process.stderr, require("node:crypto").randomBytes(65536)',
  'JSON that is nearly a log line':
    'process.stdout, Buffer.from(JSON.stringify({ level: "info", message: { deep: "y".repeat(9000) } }) + "\\n")',
};

const flooding = (program: string, what: string): string =>
  program.replace(
    'const listen =',
    `const flood = (out, bytes) => { const next = () => { while (out.write(bytes)); }; out.on('drain', next); next(); };
     let isFlooding = false;
     const begin2 = () => { if (!isFlooding) { isFlooding = true; flood(${what}); } };
     server.addService({ flood: method('/text.v1.ShoutService/Flood', false) }, {
       flood: (call, done) => { begin2(); done(null, call.request); } });
     const listen =`,
  );

describe('drill: a plugin that floods its outputs', function () {
  this.timeout(120_000);
  let kernel: TestKernel;
  let plugin: TextPlugin;
  let neighbour: EchoPlugin;
  let program = '';

  before(async () => {
    plugin = await makeTextPlugin();
    program = await plugin.read('program.cjs');
    const proto = await plugin.read('proto/text/v1/shout_service.proto');
    await plugin.put(
      'proto/text/v1/shout_service.proto',
      proto.replace('rpc Repeat', 'rpc Flood(ShoutRequest) returns (ShoutResponse);\n  rpc Repeat'),
    );
    neighbour = await copyEcho();
    kernel = await startTestKernel({ plugins: [neighbour.directory], config: { rollbackWindowMs: 0 } });
  });

  after(async () => {
    await kernel.stop();
    await neighbour.remove();
    await plugin.remove();
    assert.deepEqual(await processesWith(plugin.directory), []);
  });

  for (const [what, call] of Object.entries(FLOODS)) {
    it(`with ${what} is slowed down, and neither the kernel nor its neighbours are harmed`, async () => {
      await plugin.put('program.cjs', flooding(program, call));
      await kernel.load(plugin.directory);
      const memory = (): number => {
        globalThis.gc?.();
        const { heapUsed, external } = process.memoryUsage();
        return heapUsed + external;
      };
      const ask = (method: string): ReturnType<typeof rawCall> =>
        rawCall(kernel.addresses.grpc, `/text.v1.ShoutService/${method}`, textMessage('x'));
      const before = memory();
      assert.equal((await ask('Flood')).code, 0);
      for (let count = 0; count < 200; count += 1) {
        assert.equal((await kernel.call(EchoService).say({})).version, '0.1.0');
        if (count % 20 === 0) assert.equal((await ask('Shout')).code, 0);
      }
      assert.ok(memory() - before < 48 * MIB, `${((memory() - before) / MIB).toFixed(1)} MiB more`);
      assert.deepEqual([kernel.describe(ID).state, kernel.describe(ID).restarts], ['ACTIVE', 0]);
      if (what.startsWith('lines')) await until('lines are dropped and counted', () => droppedLines(kernel));
      await kernel.unload(ID);
      await until('its process is gone', async () => (await processesWith(plugin.directory)).length === 0);
    });
  }
});

async function droppedLines(kernel: TestKernel): Promise<boolean> {
  let dropped = 0n;
  const answers = kernel.call(PluginService).tailLogs({ ids: [ID], lines: 1_000 });
  for await (const { entry } of answers) dropped += entry?.dropped ?? 0n;
  return dropped > 0n;
}

describe('drill: a plugin process that does not stop', function () {
  this.timeout(60_000);

  it('is killed with its children, and others are not kept waiting for it', async () => {
    const plugin = await makeTextPlugin();
    const stubborn = (await plugin.read('program.cjs'))
      .replace(
        "process.once('SIGTERM', () => server.tryShutdown(() => process.exit(0)))",
        "process.on('SIGTERM', () => undefined)",
      )
      .replace("process.stdin.resume().once('end', () => process.exit(0))", 'process.stdin.resume()')
      .replace(
        'const listen =',
        "require('node:child_process').spawn(process.execPath, ['-e', 'process.on(\"SIGTERM\", () => {}); setInterval(() => 1, 1000)', __dirname], { stdio: 'ignore' });\nconst listen =",
      );
    await plugin.put('program.cjs', stubborn);
    const neighbour = await copyEcho();
    const kernel = await startTestKernel({ plugins: [plugin.directory, neighbour.directory] });
    const pids = await processesWith(plugin.directory);
    assert.ok(pids.length >= 2, `${pids.length} processes`);
    const unloading = kernel.unload(ID);
    assert.equal((await kernel.call(EchoService).say({})).version, '0.1.0');
    await unloading;
    await until('all are gone', async () => (await processesWith(plugin.directory)).length === 0);
    await kernel.stop();
    await plugin.remove();
    await neighbour.remove();
  });
});
