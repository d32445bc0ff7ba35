import assert from 'node:assert/strict';
import { ServingKernel } from '../serving-kernel.ts';
import { needTool, runTool } from '../tool.ts';
import { goClient, grpcurl } from './go-tools.ts';

describe('Go', function () {
  this.timeout(300_000);
  let kernel: ServingKernel;

  before(async function () {
    await needTool(this, 'Go', () => runTool('go', ['version']));
    kernel = await ServingKernel.start();
  });
  after(async () => {
    // Not there when the suite was skipped.
    await (kernel as ServingKernel | undefined)?.stop();
  });

  it('infers with a client generated from the .proto files', async function () {
    const client = await needTool(this, 'the Go client', goClient);
    const report = JSON.parse(await runTool(client, [kernel.grpc])) as Record<string, unknown>;
    assert.deepEqual(
      { ...report, message: undefined },
      {
        server: 'lamella',
        ready: true,
        inputs: ['image UINT8'],
        labels: [5, 0, 8],
        code: 'NotFound',
        message: undefined,
      },
    );
    assert.match(String(report['message']), /^Request for unknown model: 'nothing'/);
  });

  it('finds and describes every service with grpcurl, without any file', async function () {
    const program = await needTool(this, 'grpcurl', grpcurl);
    const call = (...rest: readonly string[]): Promise<string> =>
      runTool(program, ['-plaintext', kernel.grpc, ...rest]);
    const services = (await call('list')).trim().split('\n');
    for (const service of [
      'grpc.health.v1.Health',
      'inference.GRPCInferenceService',
      'lamella.kernel.v1.PluginService',
      'lamella.model.v1.RegistryService',
    ]) {
      assert.ok(services.includes(service), `${service} is missing in ${services.join(', ')}`);
    }
    for (const service of services) assert.match(await call('describe', service), /is a service/);
    const health = JSON.parse(await call('grpc.health.v1.Health/Check')) as { status: string };
    assert.equal(health.status, 'SERVING');
  });

  it('calls a method with grpcurl by JSON', async function () {
    const program = await needTool(this, 'grpcurl', grpcurl);
    const path = 'inference.GRPCInferenceService/ModelMetadata';
    const parameters = ['-plaintext', '-d', '{"name":"digits"}', kernel.grpc, path];
    const model = JSON.parse(await runTool(program, parameters)) as { inputs: unknown };
    assert.deepEqual(model.inputs, [{ name: 'image', datatype: 'UINT8', shape: ['-1', '28', '28'] }]);
  });
});
