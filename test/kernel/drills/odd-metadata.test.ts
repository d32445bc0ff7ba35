import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';

const identity = (bytes: Buffer): Buffer => bytes;

/** What no gRPC server can send: names and values outside of ASCII, and values that are neither text nor bytes. */
const ODD = `for (const headers of [context.responseHeaders, context.responseTrailers]) {
  headers.set('x odd\\n', 'a').set('x-odd', 'caf\\u00e9').set('x-bin', 'text').set('x', 5 as never).set('x-good', 'yes');
}`;

/** A text that has no UTF-8. */
const HALF = String.raw`Object.assign(new Error('half \ud800 of one'), { code: 9, reason: 'HALF', metadata: {}, violations: [] })`;

interface Ended {
  readonly code: number;
  readonly details: string;
  readonly headers: readonly grpc.MetadataValue[];
  readonly trailers: readonly grpc.MetadataValue[];
}

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`drill: a plugin at ${isolation} that sets metadata which cannot be sent`, function () {
    this.timeout(60_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;
    let client: grpc.Client;

    before(async () => {
      plugin = await copyEcho();
      await plugin.replaceCode(
        'if (delayMs > 0)',
        `${ODD}\n if (delayMs === 13) throw ${HALF};\n if (delayMs > 0)`,
      );
      await plugin.replaceCode('async *chat(requests) {', `async *chat(requests, context) {\n ${ODD}`);
      const config = { plugins: { 'example.echo': { isolation } } };
      kernel = await startTestKernel({ plugins: [plugin.directory], config });
      client = new grpc.Client(kernel.addresses.grpc, grpc.credentials.createInsecure());
    });

    after(async () => {
      client.close();
      await kernel.stop();
      await plugin.remove();
    });

    const say = (request: Buffer): Promise<Ended> =>
      new Promise((resolve) => {
        let headers: readonly grpc.MetadataValue[] = [];
        const call = client.makeUnaryRequest(
          '/echo.v1.EchoService/Say',
          identity,
          identity,
          request,
          () => undefined,
        );
        call.on('metadata', (metadata: grpc.Metadata) => (headers = metadata.get('x-good')));
        call.on('status', ({ code, details, metadata }: grpc.StatusObject) =>
          resolve({ code, details, headers, trailers: metadata.get('x-good') }),
        );
      });

    it('is answered without it, and with the rest', async () => {
      const { code, headers, trailers } = await say(Buffer.alloc(0));
      assert.deepEqual([code, headers, trailers], [0, ['yes'], ['yes']]);
    });

    it('fails as it says, without it', async () => {
      const { code, details, trailers } = await say(Buffer.from([0x10, 13]));
      assert.ok(code === 9 || code === 13, `${code}`);
      assert.notEqual(details, '');
      assert.deepEqual(trailers, ['yes']);
    });

    it('streams on without it', async () => {
      const call = client.makeBidiStreamRequest('/echo.v1.EchoService/Chat', identity, identity);
      const ended = new Promise<grpc.StatusObject>((resolve) => {
        call.on('status', resolve);
      });
      call.on('error', () => undefined);
      call.resume();
      call.end(Buffer.alloc(0));
      assert.equal((await ended).code, 0);
    });
  });
}
