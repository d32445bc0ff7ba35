import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { fromBinary } from '@bufbuild/protobuf';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { ServerReflection } from '../../../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import {
  type OrcaLoadReport,
  OrcaLoadReportSchema,
} from '../../../proto/gen/xds/data/orca/v3/orca_load_report_pb.ts';
import { OpenRcaService } from '../../../proto/gen/xds/service/orca/v3/orca_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import { GrpcClient } from '../../support/grpc-client.ts';

const ASKING = { headers: { 'endpoint-load-metrics-format': 'bin' } };

describe('load reports to a gRPC client', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  let client: GrpcClient;

  beforeEach(async () => {
    plugin = await copyEcho();
    await plugin.setManifest({ resources: { concurrency: 4 } });
  });

  afterEach(async () => {
    client.close();
    await kernel.stop();
    await plugin.remove();
  });

  async function start(config: object = {}): Promise<void> {
    kernel = await startTestKernel({ plugins: [plugin.directory], config: { ...config } });
    client = new GrpcClient(kernel.addresses.grpc);
  }

  async function say(options = {}): Promise<OrcaLoadReport | undefined> {
    const { trailers } = await client.unary(EchoService.method.say, {}, options);
    const [bytes] = trailers.get('endpoint-load-metrics-bin');
    return bytes === undefined ? undefined : fromBinary(OrcaLoadReportSchema, bytes as Buffer);
  }

  it('go with the answers that ask for them', async () => {
    await start();
    assert.equal(await say(), undefined);
    const report = await say(ASKING);
    assert.ok(report !== undefined && report.rpsFractional > 0 && report.cpuUtilization > 0);
    assert.equal(report.eps, 0);
  });

  it('go with all answers where the configuration says so', async () => {
    await start({ loadReports: { perCall: true } });
    assert.ok((await say()) !== undefined);
  });

  it('are streamed until the kernel drains', async () => {
    await start();
    const stream = client.stream(OpenRcaService.method.streamCoreMetrics, {});
    const { value } = await stream.next();
    assert.deepEqual((value as OrcaLoadReport).namedMetrics, { 'example.echo.in_flight': 0 });
    assert.deepEqual((value as OrcaLoadReport).utilization, { 'example.echo': 0 });
    const last = assert.rejects(stream.next(), {
      code: status.UNAVAILABLE,
      details: /reports no load any more/,
    });
    await kernel.stop();
    await last;
  });

  it('are refused to those without a role', async () => {
    await start({ access: { anonymous: 'none' } });
    const stream = client.stream(OpenRcaService.method.streamCoreMetrics, {});
    await assert.rejects(stream.next(), { code: status.UNAUTHENTICATED });
  });

  it('are a service that reflection lists', async () => {
    await start();
    async function* requests(): AsyncGenerator<{ messageRequest: { case: 'listServices'; value: string } }> {
      yield { messageRequest: { case: 'listServices', value: '' } };
    }
    const names: string[] = [];
    for await (const { messageResponse } of kernel.call(ServerReflection).serverReflectionInfo(requests())) {
      if (messageResponse.case !== 'listServicesResponse') assert.fail(String(messageResponse.case));
      names.push(...messageResponse.value.service.map(({ name }) => name));
    }
    assert.ok(names.includes('xds.service.orca.v3.OpenRcaService'));
  });
});
