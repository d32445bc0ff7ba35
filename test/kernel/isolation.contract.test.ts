import assert from 'node:assert/strict';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema, RetryInfoSchema } from '../../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../proto/gen/google/rpc/status_pb.ts';
import { type Client, Code, isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import {
  EchoService,
  SayRequestSchema,
  SayResponseSchema,
} from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { LinkClient } from '../../kernel/link/link-client.ts';
import { StatusError } from '../../kernel/status-error.ts';

const SAY = '/echo.v1.EchoService/Say';

async function* each(...texts: string[]): AsyncGenerator<{ payload: Uint8Array }> {
  for (const text of texts) yield { payload: Buffer.from(text) };
}

function codeOf(error: unknown): number | undefined {
  if (isDeclaredError(error) || error instanceof StatusError) return error.code;
  return error instanceof Error && error.name === 'AbortError' ? Code.CANCELLED : undefined;
}

/** Tells the plugin something and returns what it answers. */
async function tell(client: Client<typeof EchoService>, command: string): Promise<Record<string, unknown>> {
  const { payload } = await client.say({ payload: Buffer.from(command) });
  return JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
}

/** Asks until the answer is right; the plugin may hear of a cancellation a moment after its caller. */
async function eventually(ask: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + 5_000; Date.now() < endMs;) if (await ask()) return;
  assert.fail('it did not come true within 5 s');
}

for (const isolation of ['INLINE', 'WORKER', 'PROCESS', 'REMOTE'] as const) {
  describe(`a plugin at isolation ${isolation}`, function () {
    this.timeout(30_000);
    let kernel: TestKernel;
    /** Where the plugin runs at REMOTE: it needs no more than gRPC, and another kernel speaks that. */
    let far: TestKernel | undefined;
    let plugin: EchoPlugin;
    let link: LinkClient;
    let client: Client<typeof EchoService>;

    before(async () => {
      plugin = await copyEcho();
      await plugin.useContractPlugin();
      if (isolation === 'REMOTE') {
        far = await startTestKernel({ plugins: [plugin.directory], config: { maxMessageBytes: 128 << 20 } });
      }
      const remote = far === undefined ? {} : { remote: { addresses: [far.addresses.grpc] } };
      const config = { plugins: { 'example.echo': { isolation, ...remote } } };
      kernel = await startTestKernel({ plugins: [plugin.directory], config });
      client = kernel.call(EchoService);
      const [host = '', port = ''] = kernel.addresses.grpc.split(':');
      link = await LinkClient.connect({ host, port: Number(port) });
    });

    after(async () => {
      await link.close();
      await kernel.stop();
      await far?.stop();
      await plugin.remove();
    });

    /** A call from outside, with bytes of a command. */
    const command = (text: string, headers = new Map<string, string | Uint8Array>()) =>
      link.unary(SAY, toBinary(SayRequestSchema, create(SayRequestSchema, { payload: Buffer.from(text) })), {
        headers,
      });

    it('runs where the operator said', () => {
      assert.equal(kernel.describe('example.echo').isolation, isolation);
    });

    it('answers a unary call', async () => {
      const { payload, version } = await client.say({ payload: Buffer.from('hello') });
      assert.deepEqual([Buffer.from(payload).toString(), version], ['hello', '0.1.0']);
    });

    it('answers with a stream', async () => {
      const answers: string[] = [];
      for await (const { payload } of client.repeat({ payload: Buffer.from('x'), count: 100 })) {
        answers.push(Buffer.from(payload).toString());
      }
      assert.deepEqual(
        answers,
        Array.from({ length: 100 }, () => 'x'),
      );
    });

    it('takes a stream', async () => {
      const { payload } = await client.join(each('a', 'b', 'c'));
      assert.equal(Buffer.from(payload).toString(), 'abc');
    });

    it('talks both ways', async () => {
      const answers: string[] = [];
      for await (const { payload } of client.chat(each('a', 'b'))) {
        answers.push(Buffer.from(payload).toString());
      }
      assert.deepEqual(answers, ['a', 'b']);
    });

    for (const sizeMib of [1, 64]) {
      it(`carries ${sizeMib} MiB both ways`, async () => {
        const sent = Buffer.alloc(sizeMib << 20, 7);
        const { payload } = await client.say({ payload: sent });
        assert.ok(sent.equals(payload));
      });
    }

    it('tells the plugin the deadline and ends a call there', async () => {
      const { payload } = await client.say({ payload: Buffer.from('deadline') }, { timeoutMs: 5_000 });
      const { leftMs } = JSON.parse(Buffer.from(payload).toString()) as { leftMs: number };
      assert.ok(leftMs > 0 && leftMs <= 5_000, `${leftMs} ms`);
      const before = await tell(client, 'counts');
      const call = client.say({ delayMs: 20_000 }, { timeoutMs: 50 });
      await assert.rejects(call, (error) => codeOf(error) === Code.DEADLINE_EXCEEDED);
      await eventually(
        async () => (await tell(client, 'counts'))['cancelled'] === Number(before['cancelled']) + 1,
      );
    });

    it('ends a call whose caller cancels, and the plugin hears of it', async () => {
      const before = await tell(client, 'counts');
      const controller = new AbortController();
      const call = client.say({ delayMs: 20_000 }, { signal: controller.signal });
      // The call is in the plugin when a later one has been answered.
      await tell(client, 'counts');
      controller.abort();
      await assert.rejects(call, (error) => codeOf(error) === Code.CANCELLED);
      await eventually(
        async () => (await tell(client, 'counts'))['cancelled'] === Number(before['cancelled']) + 1,
      );
    });

    it('ends both halves of a stream whose caller leaves', async () => {
      const before = await tell(client, 'counts');
      let isSourceTold = false;
      async function* requests(): AsyncGenerator<{ payload: Uint8Array }> {
        try {
          for (;;) yield { payload: Buffer.from('x') };
        } finally {
          isSourceTold = true;
        }
      }
      for await (const _answer of client.chat(requests())) break;
      await eventually(
        async () => (await tell(client, 'counts'))['endedChats'] === Number(before['endedChats']) + 1,
      );
      await eventually(async () => (await tell(client, 'counts')) !== undefined && isSourceTold);
    });

    it('holds the plugin back when its caller does not read', async () => {
      const before = await tell(client, 'counts');
      const payload = Buffer.alloc(64 * 1024);
      const answers = client.repeat({ payload, count: 5_000 })[Symbol.asyncIterator]();
      await answers.next();
      await client.say({ delayMs: 200 });
      const { produced } = await tell(client, 'counts');
      const ahead = Number(produced) - Number(before['produced']);
      assert.ok(ahead < 250, `${ahead} of 5,000 answers were made for a caller that took one`);
      await answers.return?.();
    });

    it('holds the caller back when the plugin does not read', async () => {
      let sent = 0;
      const controller = new AbortController();
      async function* requests(): AsyncGenerator<{ payload: Uint8Array }> {
        const payload = Buffer.alloc(64 * 1024, 'stop');
        for (; sent < 5_000; sent += 1) yield { payload };
      }
      const call = client.join(requests(), { signal: controller.signal });
      await client.say({ delayMs: 200 });
      controller.abort();
      await assert.rejects(call, (error) => codeOf(error) === Code.CANCELLED);
      assert.ok(sent < 250, `${sent} of 5,000 requests were sent to a plugin that took one`);
    });

    it('gives a declared error its reason, fields and details', async () => {
      await assert.rejects(tell(client, 'refuse'), (error) => {
        assert.ok(isDeclaredError(error));
        const { reason, code, metadata, retryAfterMs, domain } = error;
        assert.deepEqual(
          { reason, code, metadata, retryAfterMs, domain },
          {
            reason: 'CONTRACT_REFUSED',
            code: Code.FAILED_PRECONDITION,
            metadata: { what: 'refuse' },
            retryAfterMs: 1_500,
            domain: 'example.echo.lamella',
          },
        );
        return true;
      });
      await assert.rejects(command('refuse'), (error) => {
        assert.ok(error instanceof StatusError && error.detailsBin !== undefined);
        const { details } = fromBinary(StatusSchema, error.detailsBin);
        const violations = details.flatMap((any) => anyUnpack(any, BadRequestSchema)?.fieldViolations ?? []);
        assert.deepEqual(
          violations.map(({ field, description }) => [field, description]),
          [['payload', 'must not be refuse']],
        );
        assert.ok(details.some((any) => anyUnpack(any, RetryInfoSchema) !== undefined));
        assert.equal(error.trailers.get('grpc-retry-pushback-ms'), '1500');
        return true;
      });
    });

    it('hides what nobody declared', async () => {
      await assert.rejects(command('break'), (error) => {
        assert.ok(error instanceof StatusError);
        assert.equal(error.code, Code.INTERNAL);
        assert.doesNotMatch(error.message, /secret detail/);
        return true;
      });
    });

    it('passes metadata in and out, text and bytes', async () => {
      const bytes = new Uint8Array([0, 255, 10]);
      const { headers, trailers, message } = await command(
        'metadata',
        new Map<string, string | Uint8Array>([
          ['x-text', 'some text'],
          ['x-bytes-bin', bytes],
        ]),
      );
      assert.equal(fromBinary(SayResponseSchema, message).version, '0.1.0');
      assert.equal(headers.get('x-text-header'), 'some text');
      assert.equal(trailers.get('x-text-trailer'), 'some text');
      assert.deepEqual(new Uint8Array(headers.get('x-bytes-header-bin') as Uint8Array), bytes);
      assert.deepEqual(new Uint8Array(trailers.get('x-bytes-trailer-bin') as Uint8Array), bytes);
    });

    it('lets running calls end when it is replaced', async () => {
      const running = client.say({ payload: Buffer.from('kept'), delayMs: 400 });
      await tell(client, 'counts');
      await plugin.setVersion('0.2.0');
      await far?.reload('example.echo');
      await kernel.reload('example.echo');
      assert.equal((await client.say({ payload: Buffer.from('new') })).version, '0.2.0');
      const { payload, version } = await running;
      assert.deepEqual([Buffer.from(payload).toString(), version], ['kept', '0.1.0']);
    });
  });
}
