import assert from 'node:assert/strict';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { ConfigInvalid } from '../../kernel/config.ts';
import { Propagation } from '../../kernel/propagation.ts';
import { Code, isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { GrpcClient } from '../support/grpc-client.ts';

/** What a plugin saw of its call. */
interface Seen {
  readonly headers: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
}

const TRAVELS = {
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  tracestate: 'vendor=1',
  baggage: 'user=alice',
  b3: '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1',
  'x-b3-traceid': '4bf92f3577b34da6a3ce929d0e0e4736',
  'x-b3-spanid': '00f067aa0ba902b7',
  'x-b3-sampled': '1',
  'x-request-id': 'request-7',
  'lamella-tenant': 'acme',
  'x-team': 'blue',
};
const STAYS = {
  authorization: 'Bearer of-somebody-else',
  cookie: 'session=1',
  'x-forwarded-client-cert': 'URI=spiffe://example.org/mallory',
  'x-other': 'no business of the next one',
};

describe('what travels along from call to call', function () {
  this.timeout(60_000);

  for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
    describe(`at isolation ${isolation}`, () => {
      let kernel: TestKernel;
      let client: GrpcClient;
      const plugins: EchoPlugin[] = [];

      before(async () => {
        for (const extension of ['', 'neighbour']) {
          const plugin = await copyEcho();
          plugins.push(plugin);
          await plugin.useRelayPlugin();
          await plugin.setManifest({
            id: `example.${extension === '' ? 'relay' : extension}`,
            provides: [{ service: 'echo.v1.EchoService', ...(extension === '' ? {} : { extension }) }],
            capabilities: { services: ['echo.v1.EchoService'] },
          });
        }
        kernel = await startTestKernel({
          plugins: plugins.map(({ directory }) => directory),
          config: {
            propagatedHeaders: ['x-team'],
            plugins: { 'example.relay': { isolation }, 'example.neighbour': { isolation } },
          },
        });
        client = new GrpcClient(kernel.addresses.grpc);
      });

      after(async () => {
        client.close();
        await kernel.stop();
        for (const plugin of plugins.splice(0)) await plugin.remove();
      });

      async function tell<Told>(word: string, headers = {}, deadlineMs?: number): Promise<Told> {
        const options = deadlineMs === undefined ? { headers } : { headers, deadlineMs };
        const { answer } = await client.unary(
          EchoService.method.say,
          { payload: Buffer.from(word) },
          options,
        );
        return JSON.parse(Buffer.from(answer.payload).toString()) as Told;
      }

      it('is metadata on the list and what the operator adds, never credentials', async () => {
        const { next } = await tell<{ next: Seen }>('relay', { ...TRAVELS, ...STAYS });
        const { traceparent, ...others } = TRAVELS;
        for (const [name, value] of Object.entries(others)) assert.equal(next.headers[name], value, name);
        // Whoever traces puts a span of his own into the same trace.
        assert.equal(next.headers['traceparent']?.slice(3, 35), traceparent.slice(3, 35));
        for (const name of Object.keys(STAYS)) assert.equal(next.headers[name], undefined, name);
      });

      it('is the deadline, with a margin for the way back', async () => {
        const { own, next } = await tell<{ own: Seen; next: Seen }>('relay', {}, 30_000);
        assert.ok(own.deadlineMs !== undefined && next.deadlineMs !== undefined);
        // Between processes the time left travels, and with it the time on the way.
        const latestMs = own.deadlineMs + (isolation === 'PROCESS' ? 10_000 : -1);
        assert.ok(next.deadlineMs <= latestMs, `${next.deadlineMs} is after ${latestMs}`);
        assert.ok(own.deadlineMs - next.deadlineMs < 15_000);
      });

      it('is no call that cannot end in time: it fails before it is made', async () => {
        assert.equal((await tell<{ code: number }>('late')).code, Code.DEADLINE_EXCEEDED);
      });

      it('is the time after which a proxy gives up, when the client gave more', async () => {
        const nowMs = Date.now();
        const proxy = { 'x-envoy-expected-rq-timeout-ms': '20000' };
        const { own } = await tell<{ own: Seen }>('relay', proxy, 3_600_000);
        assert.ok(own.deadlineMs !== undefined);
        assert.ok(own.deadlineMs >= nowMs + 15_000 && own.deadlineMs < nowMs + 600_000);
        const shorter = await tell<{ own: Seen }>('relay', { 'x-envoy-expected-rq-timeout-ms': '0' }, 40_000);
        assert.ok(shorter.own.deadlineMs !== undefined && shorter.own.deadlineMs > nowMs + 15_000);
      });
    });
  }

  it('is bounded in size, trace contexts first', () => {
    const sent = new Map<string, string | Uint8Array>();
    const from = new Map<string, string | Uint8Array>([
      ['baggage', 'b'.repeat(8_192)],
      ['tracestate', 's'.repeat(8_193)],
      ['traceparent', TRAVELS.traceparent],
      ['lamella-tenant', 't'.repeat(8_192)],
      ['grpc-trace-bin', new Uint8Array([1, 2])],
    ]);
    new Propagation().carry(from, sent);
    assert.deepEqual([...sent.keys()], ['traceparent', 'grpc-trace-bin', 'lamella-tenant']);
  });

  for (const name of ['authorization', 'x-api-key', 'l5d-client-id', 'lamella-token', 'X-Team']) {
    it(`is never '${name}', whatever the operator says`, async () => {
      const starting = startTestKernel({ plugins: [], config: { propagatedHeaders: [name] } });
      await assert.rejects(starting, (error) => {
        assert.ok(isDeclaredError(error));
        assert.equal(error.reason, ConfigInvalid.definition.reason);
        assert.match(error.message, /propagatedHeaders\.0/);
        return true;
      });
    });
  }
});
