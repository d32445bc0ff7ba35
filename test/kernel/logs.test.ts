import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { LogBook } from '../../kernel/log-book.ts';
import { createLogger } from '../../kernel/logger.ts';
import { forwardLines } from '../../kernel/loader/plugin-output.ts';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import {
  LogLevel,
  PluginService,
  type LogEntry,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { runLamella } from '../support/run-lamella.ts';

describe('the log book', () => {
  it('keeps the last lines of each plugin, bounded in number and in characters', async () => {
    const book = new LogBook();
    const log = createLogger({ level: 'silent', book, write: () => assert.fail('silent') });
    // The kernel itself is not limited in rate, so that its own story has no gaps.
    for (let index = 0; index < 1_500; index += 1) log.info(`line ${index}`);
    for (let index = 0; index < 400; index += 1) log.child({ plugin: 'a.long' }).info('x'.repeat(8_000));
    const signal = new AbortController().signal;
    const tail = async (id: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const line of book.tail({ ids: [id], lines: 10_000, follow: false, signal })) {
        found.push(line.message);
      }
      return found;
    };
    const kernel = await tail('');
    assert.deepEqual([kernel.length, kernel[0], kernel.at(-1)], [1_000, 'line 500', 'line 1499']);
    assert.ok((await tail('a.long')).length <= (1024 * 1024) / 8_000);
  });

  it('drops what a plugin writes too fast, says how much, and takes lines again later', () => {
    let nowMs = 0;
    const book = new LogBook(() => nowMs);
    const lines: string[] = [];
    const log = createLogger({ book, format: 'json', write: (line) => lines.push(line), now: () => nowMs });
    const flood = log.child({ plugin: 'a.flood' });
    for (let index = 0; index < 5_000; index += 1) flood.info('again');
    assert.equal(lines.length, 2_000);
    log.child({ plugin: 'a.calm' }).info('untouched');
    assert.equal(lines.length, 2_001);
    nowMs = 1_000;
    flood.info('later');
    assert.deepEqual(
      (({ message, droppedLines }) => [message, droppedLines])(
        JSON.parse(lines.at(-1) ?? '') as { message: string; droppedLines: number },
      ),
      ['later', 3_000],
    );
  });

  it('cuts lines that never end and slows an output that floods', async () => {
    const stream = new PassThrough({ highWaterMark: 1024 });
    const messages: string[] = [];
    const log = createLogger({ write: (line) => messages.push(line), format: 'json' });
    const release = forwardLines([stream], { log });
    stream.write(Buffer.alloc(200 * 1024, 'a'));
    stream.write('\n{"level":"warn","message":"short","n":1}\n');
    stream.write(Buffer.alloc(300 * 1024, 'b'));
    assert.equal(stream.isPaused(), true);
    release();
    stream.end('\r\nlast\r\n');
    await new Promise((resolve) => stream.once('close', resolve));
    const parsed = messages.map((line) => JSON.parse(line) as { level: string; message: string; n?: number });
    assert.deepEqual(
      parsed.map(({ level, message, n }) => [level, message.slice(0, 5), n]),
      [
        ['info', 'aaaaa', undefined],
        ['warn', 'short', 1],
        ['info', 'bbbbb', undefined],
        ['info', 'last', undefined],
      ],
    );
  });
});

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`logs of a plugin at isolation ${isolation}`, function () {
    this.timeout(30_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;

    before(async () => {
      plugin = await copyEcho();
      // The plugin writes a line at each level for each call, and floods its outputs when it is asked for 13 ms.
      await plugin.replaceCode(
        'if (delayMs > 0)',
        `log.debug('fine', { size: payload.length });
      log.info('called', { size: payload.length });
      if (delayMs === 13) for (let n = 0; n < 50_000; n += 1) log.info('flood');
      if (delayMs > 0)`,
      );
      await plugin.replaceCode(
        'createEchoService(version: string)',
        'createEchoService(version: string, log: any)',
      );
      await plugin.replacePlugin(
        'createEchoService(host.version)',
        'createEchoService(host.version, host.log)',
      );
      const config = { plugins: { 'example.echo': { isolation } } };
      kernel = await startTestKernel({ plugins: [plugin.directory], config });
    });

    after(async () => {
      await kernel.stop();
      await plugin.remove();
    });

    async function next(level: LogLevel, act: () => Promise<unknown>): Promise<LogEntry> {
      const controller = new AbortController();
      const request = { ids: ['example.echo'], lines: 0, follow: true };
      const answers = kernel.call(PluginService).tailLogs(request, { signal: controller.signal });
      const iterator = answers[Symbol.asyncIterator]();
      const first = iterator.next();
      setImmediate(() => void act());
      try {
        for (let answer = await first; answer.done !== true; answer = await iterator.next()) {
          if (answer.value.entry?.level === level) return answer.value.entry;
        }
        return assert.fail('the stream ended');
      } finally {
        controller.abort();
        await iterator.return?.();
      }
    }

    const say = (delayMs = 0): Promise<unknown> =>
      kernel.call(EchoService).say({ payload: Buffer.from('four'), delayMs });

    it('arrive with level, plugin and fields while they are followed', async () => {
      const entry = await next(LogLevel.INFO, say);
      assert.deepEqual(
        [entry.pluginId, entry.message, entry.fields],
        ['example.echo', 'called', { size: 4 }],
      );
    });

    it('change their level at run time, and back', async () => {
      await kernel.call(PluginService).setLogLevel({ id: 'example.echo', level: LogLevel.DEBUG });
      const entry = await next(LogLevel.DEBUG, async () => {
        // The level reaches another process by its stdin; a call may overtake it.
        while (!done) await say();
      }).finally(() => (done = true));
      assert.equal(entry.message, 'fine');
      await kernel.call(PluginService).setLogLevel({ id: 'example.echo', level: LogLevel.UNSPECIFIED });
    });
    let done = false;

    it('are shown by the command line', async () => {
      const words = ['--address', kernel.addresses.grpc, '--home', kernel.home];
      const { code, out } = await runLamella(['plugin', 'logs', 'example.echo', '--json', ...words]);
      assert.equal(code, 0);
      const lines = out.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.ok(lines.some(({ message, level }) => message === 'called' && level === 'info'));
      const text = await runLamella(['plugin', 'logs', 'example.echo', '--lines', '5', ...words]);
      assert.match(text.out, /^\d\d:\d\d:\d\d\.\d{3} \w+ +example\.echo: \w+/);
      const set = await runLamella(['plugin', 'log-level', 'example.echo', 'warn', ...words]);
      assert.deepEqual([set.code, set.out], [0, 'example.echo logs from warn up.']);
      await runLamella(['plugin', 'log-level', 'example.echo', 'default', ...words]);
      assert.equal((await runLamella(['plugin', 'logs', 'no.such', ...words])).code, 1);
      assert.equal((await runLamella(['plugin', 'log-level', 'example.echo', 'loud', ...words])).code, 2);
    });

    it('that flood are dropped and counted, and the kernel goes on serving', async () => {
      const flooding = say(13);
      await kernel.call(PluginService).listPlugins({});
      await flooding;
      let dropped = 0n;
      while (dropped < 1_000n) {
        await say();
        dropped = 0n;
        const answers = kernel.call(PluginService).tailLogs({ ids: ['example.echo'], lines: 1_000 });
        for await (const { entry } of answers) dropped += entry?.dropped ?? 0n;
      }
      assert.equal(kernel.describe('example.echo').state, 'ACTIVE');
    });
  });
}
