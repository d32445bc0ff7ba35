import assert from 'node:assert/strict';
import { create, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { EchoService, SayRequestSchema } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import { Collector, type ReceivedSpan } from '../../support/otlp/collector.ts';

const SAY = 'echo.v1.EchoService/Say';
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';
const TRACEPARENT = `00-${TRACE_ID}-${SPAN_ID}-01`;

/** As the protocol numbers them. */
const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;

type Settings = Readonly<Record<string, unknown>>;

describe('traces', function () {
  this.timeout(60_000);
  let collector: Collector;
  let first: EchoPlugin;
  let second: EchoPlugin;
  let kernel: TestKernel;
  let client: grpc.Client | undefined;

  before(async () => {
    first = await copyEcho();
    await first.useContractPlugin();
    second = await copyEcho();
    await second.setManifest({
      id: 'example.neighbour',
      provides: [{ service: 'echo.v1.EchoService', extension: 'neighbour' }],
    });
  });

  after(async () => {
    await first.remove();
    await second.remove();
  });

  beforeEach(async () => {
    collector = new Collector();
    await collector.start();
  });

  afterEach(async () => {
    client?.close();
    await kernel.stop();
    collector.close();
  });

  async function start(tracing: Settings, isolation = 'INLINE'): Promise<void> {
    const capabilities = { services: ['echo.v1.EchoService'] };
    const plugins = { 'example.echo': { isolation, capabilities }, 'example.neighbour': { isolation } };
    kernel = await startTestKernel({
      plugins: [first.directory, second.directory],
      config: { tracing, plugins },
    });
    client = new grpc.Client(kernel.addresses.grpc, grpc.credentials.createInsecure());
  }

  /** Calls as any gRPC client does. */
  async function say(text: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
    const request = toBinary(SayRequestSchema, create(SayRequestSchema, { payload: Buffer.from(text) }));
    const metadata = grpc.Metadata.fromHttp2Headers(headers);
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve, reject) => {
      client?.makeUnaryRequest(`/${SAY}`, same, same, Buffer.from(request), metadata, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  }

  function span(spans: readonly ReceivedSpan[], service: string, kind: number): ReceivedSpan {
    const found = spans.find((one) => one.service === service && one.kind === kind);
    return found ?? assert.fail(`no span of ${service} in ${JSON.stringify(spans)}`);
  }

  for (const isolation of ['INLINE', 'WORKER', 'PROCESS']) {
    it(`of a client go on through kernel, plugin and neighbour at isolation ${isolation}`, async () => {
      await start({ endpoint: collector.httpEndpoint, serviceName: 'mesh-node' }, isolation);
      await say('neighbour', { traceparent: TRACEPARENT, 'x-request-id': 'request-1' });
      await kernel.stop();
      const spans = await collector.trace(TRACE_ID, 4);
      const outer = span(spans, 'mesh-node', SERVER);
      const served = span(spans, 'example.echo', SERVER);
      const asked = span(spans, 'example.echo', CLIENT);
      const answered = span(spans, 'example.neighbour', SERVER);
      assert.deepEqual(
        [outer, served, asked, answered].map(({ parentId }) => parentId),
        [SPAN_ID, outer.spanId, served.spanId, asked.spanId],
      );
      assert.equal(spans.length, 4);
      const { attributes } = answered;
      assert.deepEqual(attributes, {
        'rpc.system': 'grpc',
        'rpc.service': 'echo.v1.EchoService',
        'rpc.method': 'Say',
        'rpc.grpc.status_code': '0',
        'lamella.plugin': 'example.neighbour',
        'lamella.isolation': isolation,
      });
      assert.equal(outer.attributes['lamella.request_id'], 'request-1');
    });
  }

  it('of a client go on through a second kernel at isolation REMOTE', async () => {
    const far = await startTestKernel({
      plugins: [first.directory],
      config: { tracing: { endpoint: collector.httpEndpoint, serviceName: 'far-node' } },
    });
    const remote = { addresses: [far.addresses.grpc] };
    kernel = await startTestKernel({
      plugins: [first.directory],
      config: {
        tracing: { endpoint: collector.httpEndpoint, serviceName: 'near-node' },
        plugins: { 'example.echo': { isolation: 'REMOTE', remote } },
      },
    });
    client = new grpc.Client(kernel.addresses.grpc, grpc.credentials.createInsecure());
    await say('hello', { traceparent: TRACEPARENT, 'x-request-id': 'request-1' });
    await kernel.stop();
    await far.stop();
    const spans = await collector.trace(TRACE_ID, 4);
    const nearKernel = span(spans, 'near-node', SERVER);
    const farKernel = span(spans, 'far-node', SERVER);
    const at = (isolation: string): ReceivedSpan =>
      spans.find(({ attributes }) => attributes['lamella.isolation'] === isolation) ?? assert.fail(isolation);
    const [called, served] = [at('REMOTE'), at('INLINE')];
    assert.deepEqual(
      [nearKernel, called, farKernel, served].map(({ parentId }) => parentId),
      [SPAN_ID, nearKernel.spanId, called.spanId, farKernel.spanId],
    );
    assert.equal(spans.length, 4);
    assert.deepEqual(
      [nearKernel, farKernel].map(({ attributes }) => attributes['lamella.request_id']),
      ['request-1', 'request-1'],
    );
  });

  it('go to a collector over gRPC too', async () => {
    await start({ endpoint: collector.grpcEndpoint, protocol: 'grpc' });
    await say('hello', { traceparent: TRACEPARENT });
    await kernel.stop();
    const spans = await collector.trace(TRACE_ID, 2);
    assert.deepEqual(spans.map(({ service }) => service).toSorted(), ['example.echo', 'lamella']);
  });

  it('are joined by callers who speak B3', async () => {
    await start({ endpoint: collector.httpEndpoint });
    await say('hello', { b3: `${TRACE_ID}-${SPAN_ID}-1` });
    await kernel.stop();
    assert.equal(span(await collector.trace(TRACE_ID, 2), 'lamella', SERVER).parentId, SPAN_ID);
  });

  it('say how a call failed', async () => {
    await start({ endpoint: collector.httpEndpoint });
    await assert.rejects(say('refuse', { traceparent: TRACEPARENT }));
    await assert.rejects(say('break', { traceparent: TRACEPARENT }));
    await kernel.stop();
    const spans = await collector.trace(TRACE_ID, 4);
    const outcomes = spans
      .filter(({ service }) => service === 'lamella')
      .map(({ attributes, statusCode, events }) => [
        attributes['rpc.grpc.status_code'],
        attributes['error.type'],
        statusCode,
        events,
      ]);
    assert.deepEqual(outcomes, [
      ['9', 'CONTRACT_REFUSED', 0, ['exception']],
      ['13', 'INTERNAL', ERROR, ['exception']],
    ]);
  });

  it('hold what their caller has decided not to keep, and none of what the kernel asks itself', async () => {
    await start({ endpoint: collector.httpEndpoint }, 'PROCESS');
    await say('hello', { traceparent: TRACEPARENT.replace(/01$/, '00') });
    const kept = 'f'.repeat(32);
    await say('hello', { traceparent: TRACEPARENT.replace(TRACE_ID, kept) });
    await kernel.stop();
    await collector.trace(kept, 2);
    assert.equal(collector.spans.length, 2);
  });

  it('of requests over HTTP go on in what the plugin reads', async () => {
    const plugin = await copyEcho();
    await plugin.useHttpPlugin();
    await plugin.replacePlugin("request.headers.get('x-text')", "request.headers.get('traceparent')");
    kernel = await startTestKernel({
      plugins: [plugin.directory],
      config: { tracing: { endpoint: collector.httpEndpoint } },
    });
    const url = `http://${kernel.addresses.http}/t/echo`;
    const answer = await fetch(url, { method: 'POST', body: 'x', headers: { traceparent: TRACEPARENT } });
    await answer.text();
    await kernel.stop();
    await plugin.remove();
    const { parentId, spanId, attributes } = span(await collector.trace(TRACE_ID, 1), 'lamella', SERVER);
    assert.deepEqual([parentId, answer.headers.get('x-sent')], [SPAN_ID, `00-${TRACE_ID}-${spanId}-01`]);
    assert.equal(attributes['http.response.status_code'], '201');
  });

  it('say that a call has waited for another', async () => {
    await first.setManifest({ resources: { concurrency: 1, queue: 10 } });
    await start({ endpoint: collector.httpEndpoint });
    const echo = kernel.call(EchoService);
    await Promise.all([echo.say({ delayMs: 50 }), echo.say({})]);
    await kernel.stop();
    assert.deepEqual(
      collector.spans.filter(({ kind }) => kind === CLIENT).map(({ events }) => events),
      [[], ['queued']],
    );
  });

  it('are asked for by the standard variables too, which go before the configuration', async () => {
    const variables = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.grpcEndpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_SERVICE_NAME: 'named-by-variable',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      OTEL_TRACES_SAMPLER: 'always_off',
    };
    Object.assign(process.env, variables);
    try {
      await start({ endpoint: collector.httpEndpoint });
      await say('hello', { traceparent: TRACEPARENT });
      await kernel.stop();
      assert.deepEqual(collector.spans, []);
      process.env['OTEL_TRACES_SAMPLER'] = 'parentbased_traceidratio';
      process.env['OTEL_TRACES_SAMPLER_ARG'] = '0';
      await start({ endpoint: collector.httpEndpoint });
      await say('hello', {});
      await say('hello', { traceparent: TRACEPARENT });
      await kernel.stop();
    } finally {
      for (const name of [...Object.keys(variables), 'OTEL_TRACES_SAMPLER_ARG']) delete process.env[name];
    }
    const spans = await collector.trace(TRACE_ID, 2);
    assert.deepEqual(spans.map(({ service }) => service).toSorted(), ['example.echo', 'named-by-variable']);
    assert.equal(collector.spans.length, 2);
  });

  it('fail and delay no call when there is no collector', async () => {
    await start({ endpoint: 'http://127.0.0.1:9' });
    for (let count = 0; count < 3_000; count += 1) await kernel.call(EchoService).say({});
    await kernel.stop();
  });
});
