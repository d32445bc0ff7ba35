import assert from 'node:assert/strict';
import { isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

async function* payloads(): AsyncGenerator<{ payload: Uint8Array }> {
  yield { payload: Buffer.from('x') };
}

for (const isolation of ['INLINE', 'PROCESS'] as const) {
  describe(`an error of a plugin at isolation ${isolation}`, function () {
    this.timeout(30_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;

    before(async () => {
      plugin = await copyEcho();
      await plugin.replaceCode(
        'import type { ServiceImplementation }',
        'import { Code, defineError, type ServiceImplementation }',
      );
      await plugin.replaceCode(
        'export function createEchoService',
        "const TooLoud = defineError({ reason: 'TOO_LOUD', code: Code.INVALID_ARGUMENT, message: () => 'Whisper.' });\n" +
          'export function createEchoService',
      );
      await plugin.replaceCode(
        'if (delayMs > 0)',
        'if (delayMs === 0) throw new TooLoud({});\n      if (delayMs > 0)',
      );
      await plugin.replaceCode(
        'async *chat(requests) {',
        'async *chat(requests) {\n      if (version) throw new TooLoud({});',
      );
      kernel = await startTestKernel({
        plugins: [plugin.directory],
        config: { plugins: { 'example.echo': { isolation } } },
      });
    });

    after(async () => {
      await kernel.stop();
      await plugin.remove();
    });

    const isFromEcho = (error: unknown): boolean =>
      isDeclaredError(error) && error.reason === 'TOO_LOUD' && error.domain === 'example.echo.lamella';

    it('names the plugin as its domain, for one answer and for a stream', async () => {
      const client = kernel.call(EchoService);
      await assert.rejects(client.say({}), isFromEcho);
      await assert.rejects(async () => {
        for await (const answer of client.chat(payloads())) assert.fail(JSON.stringify(answer));
      }, isFromEcho);
    });
  });
}
