import assert from 'node:assert/strict';
import { Code, isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { StatusError } from '../../kernel/status-error.ts';

async function* each(...texts: string[]): AsyncGenerator<{ payload: Uint8Array }> {
  for (const text of texts) yield { payload: Buffer.from(text) };
}

function codeOf(error: unknown): number | undefined {
  if (isDeclaredError(error) || error instanceof StatusError) return error.code;
  return error instanceof Error && error.name === 'AbortError' ? Code.CANCELLED : undefined;
}

for (const isolation of ['INLINE', 'PROCESS'] as const) {
  describe(`a plugin at isolation ${isolation}`, function () {
    this.timeout(30_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;

    before(async () => {
      plugin = await copyEcho();
      const config = { plugins: { 'example.echo': { isolation } } };
      kernel = await startTestKernel({ plugins: [plugin.directory], config });
    });

    after(async () => {
      await kernel.stop();
      await plugin.remove();
    });

    it('answers a unary call', async () => {
      const { payload, version } = await kernel.call(EchoService).say({ payload: Buffer.from('hello') });
      assert.deepEqual([Buffer.from(payload).toString(), version], ['hello', '0.1.0']);
    });

    it('answers with a stream', async () => {
      let count = 0;
      for await (const { payload } of kernel
        .call(EchoService)
        .repeat({ payload: Buffer.from('x'), count: 100 })) {
        assert.equal(Buffer.from(payload).toString(), 'x');
        count += 1;
      }
      assert.equal(count, 100);
    });

    it('takes a stream', async () => {
      const { payload } = await kernel.call(EchoService).join(each('a', 'b', 'c'));
      assert.equal(Buffer.from(payload).toString(), 'abc');
    });

    it('talks both ways', async () => {
      const answers: string[] = [];
      for await (const { payload } of kernel.call(EchoService).chat(each('a', 'b'))) {
        answers.push(Buffer.from(payload).toString());
      }
      assert.deepEqual(answers, ['a', 'b']);
    });

    for (const sizeBytes of [1 << 20, 32 << 20]) {
      it(`carries ${sizeBytes >> 20} MiB both ways`, async () => {
        const sent = Buffer.alloc(sizeBytes, 7);
        const { payload } = await kernel.call(EchoService).say({ payload: sent });
        assert.ok(sent.equals(payload));
      });
    }

    it('ends a call whose caller cancels', async () => {
      const controller = new AbortController();
      const call = kernel.call(EchoService).say({ delayMs: 20_000 }, { signal: controller.signal });
      setImmediate(() => controller.abort());
      await assert.rejects(call, (error) => codeOf(error) === Code.CANCELLED);
    });

    it('ends a call at its deadline', async () => {
      const call = kernel.call(EchoService).say({ delayMs: 20_000 }, { timeoutMs: 50 });
      await assert.rejects(call, (error) => codeOf(error) === Code.DEADLINE_EXCEEDED);
    });

    it('holds a producer back when nobody reads', async () => {
      const payload = Buffer.alloc(64 * 1024);
      const answers = kernel.call(EchoService).repeat({ payload, count: 20_000 })[Symbol.asyncIterator]();
      const before = process.memoryUsage().rss;
      await answers.next();
      await kernel.call(EchoService).say({ delayMs: 200 });
      // 20,000 answers are 1.2 GiB; what is read ahead must stay far below.
      assert.ok(process.memoryUsage().rss - before < 256 * 1024 * 1024);
      await answers.return?.();
    });
  });
}
