import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import { PluginService } from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { runLamella } from '../../support/run-lamella.ts';

const identity = (bytes: Buffer): Buffer => bytes;

interface ServiceConfig {
  readonly methodConfig: readonly {
    readonly name: readonly { readonly service: string; readonly method: string }[];
    readonly retryPolicy: { readonly maxAttempts: number; readonly retryableStatusCodes: readonly string[] };
  }[];
}

/** A server that refuses each call as UNAVAILABLE, except every third of a method. */
async function flakyServer(
  paths: readonly string[],
): Promise<{ address: string; tries: Map<string, number>; close: () => void }> {
  const server = new grpc.Server();
  const tries = new Map<string, number>();
  for (const path of paths) {
    const handler: grpc.handleUnaryCall<Buffer, Buffer> = (_call, callback) => {
      const count = (tries.get(path) ?? 0) + 1;
      tries.set(path, count);
      if (count % 3 === 0) callback(null, Buffer.alloc(0));
      else callback({ code: grpc.status.UNAVAILABLE, details: 'not now' });
    };
    server.register(path, handler, identity, identity, 'unary');
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { address: `127.0.0.1:${port}`, tries, close: () => server.forceShutdown() };
}

function call(client: grpc.Client, path: string): Promise<grpc.status> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, identity, identity, Buffer.alloc(0), (error) =>
      resolve(error === null ? grpc.status.OK : error.code),
    );
  });
}

describe('service config', function () {
  this.timeout(60_000);
  let kernel: TestKernel;

  before(async () => {
    kernel = await startTestKernel({ plugins: [] });
  });

  after(() => kernel.stop());

  it('makes a grpc-js client retry what may be repeated, and nothing else', async () => {
    const { config } = await kernel.call(PluginService).getServiceConfig({ service: PluginService.typeName });
    const [list, load] = ['ListPlugins', 'LoadPlugin'].map((name) => `/${PluginService.typeName}/${name}`);
    assert.ok(list !== undefined && load !== undefined);
    const server = await flakyServer([list, load]);
    const client = new grpc.Client(server.address, grpc.credentials.createInsecure(), {
      'grpc.service_config': JSON.stringify(config),
    });
    try {
      assert.equal(await call(client, list), grpc.status.OK);
      assert.equal(await call(client, load), grpc.status.UNAVAILABLE);
      assert.deepEqual(
        [...server.tries],
        [
          [list, 3],
          [load, 1],
        ],
      );
    } finally {
      client.close();
      server.close();
    }
  });

  it('is printed for one service or for all', async () => {
    const run = async (...words: readonly string[]): Promise<ServiceConfig> => {
      const at = ['--json', '--address', kernel.addresses.grpc];
      const { code, out, err } = await runLamella(['service-config', ...words, ...at]);
      assert.equal(code, 0, err);
      return JSON.parse(out) as ServiceConfig;
    };
    const [one] = (await run(PluginService.typeName)).methodConfig;
    assert.deepEqual(one?.retryPolicy.retryableStatusCodes, ['UNAVAILABLE']);
    assert.equal(one?.retryPolicy.maxAttempts, 4);
    const methods = one?.name.map(({ method }) => method) ?? [];
    assert.ok(methods.includes('GetServiceConfig') && !methods.includes('UnloadPlugin'), methods.join());
    const all = (await run('--all')).methodConfig.flatMap(({ name }) => name.map(({ service }) => service));
    assert.ok(all.includes(PluginService.typeName) && all.includes('lamella.kernel.v1.EventService'));
  });

  it('is refused for a service that is not loaded, and without a name or --all', async () => {
    const unknown = kernel.call(PluginService).getServiceConfig({ service: 'no.Such' });
    await assert.rejects(unknown, { reason: 'SERVICE_UNKNOWN' });
    assert.notEqual((await runLamella(['service-config', '--address', kernel.addresses.grpc])).code, 0);
  });
});
