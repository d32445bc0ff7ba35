import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../proto/gen/grpc/health/v1/health_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import { GrpcClient } from '../../support/grpc-client.ts';

const CONNECTIONS = 5;

describe('connections that have reached their age', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  let client: GrpcClient;
  let proxy: net.Server;
  /** Connections that the client has made. */
  let connections = 0;

  before(async () => {
    plugin = await copyEcho();
    kernel = await startTestKernel({
      plugins: [plugin.directory],
      config: { connections: { maxAgeMs: 300 }, plugins: { 'example.echo': { isolation: 'PROCESS' } } },
    });
    const [host = '', port] = kernel.addresses.grpc.split(':');
    proxy = net.createServer((near) => {
      connections += 1;
      const far = net.connect(Number(port), host);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        one.pipe(other);
        one.once('error', () => other.destroy());
        one.once('close', () => other.destroy());
      }
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    client = new GrpcClient(`127.0.0.1:${(proxy.address() as net.AddressInfo).port}`);
  });

  after(async () => {
    client.close();
    await kernel.stop();
    proxy.close();
    await plugin.remove();
  });

  it('are replaced under load without a failed call, and streams on them go on', async () => {
    const stream = client.stream(Health.method.watch, { service: '' });
    assert.equal((await stream.next()).value?.status, Status.SERVING);
    let calls = 0;
    const caller = async (): Promise<void> => {
      while (connections < CONNECTIONS) {
        const payload = Buffer.from(String(calls));
        const { answer } = await client.unary(EchoService.method.say, { payload });
        assert.deepEqual(Buffer.from(answer.payload), payload);
        calls += 1;
      }
    };
    await Promise.all(Array.from({ length: 8 }, caller));
    assert.ok(calls > CONNECTIONS);
    const next = stream.next();
    await kernel.stop();
    assert.equal((await next).value?.status, Status.NOT_SERVING, 'the first connection still carries it');
    await stream.return(undefined).catch(() => undefined);
  });
});
