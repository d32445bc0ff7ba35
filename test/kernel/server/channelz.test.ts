import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { startTestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho } from '../../support/echo-plugin.ts';

interface Listed {
  readonly server?: readonly unknown[];
  readonly channel?: readonly unknown[];
}

/** What grpc-js keeps books on in this process. */
function books(name: 'GetServers' | 'GetTopChannels'): number {
  const handler = grpc.getChannelzHandlers()[name] as unknown as grpc.handleUnaryCall<object, Listed>;
  let count = -1;
  const request = { request: { start_server_id: 0, start_channel_id: 0, max_results: 100 } };
  handler(request as unknown as grpc.ServerUnaryCall<object, Listed>, (_error, answer) => {
    count = (answer?.server ?? answer?.channel ?? []).length;
  });
  return count;
}

describe('channelz', function () {
  this.timeout(60_000);

  it('keeps no books on the servers of a kernel, nor on its links to plugins', async () => {
    // Shows that the question is the right one: whoever leaves channelz on is listed.
    const server = new grpc.Server();
    const [servers, channels] = [books('GetServers'), books('GetTopChannels')];
    assert.ok(servers > 0);
    const plugin = await copyEcho();
    const kernel = await startTestKernel({
      plugins: [plugin.directory],
      config: { plugins: { 'example.echo': { isolation: 'PROCESS' } } },
    });
    try {
      await kernel.call(EchoService).say({});
      assert.equal(books('GetServers'), servers);
      assert.equal(books('GetTopChannels'), channels);
    } finally {
      await kernel.stop();
      await plugin.remove();
      server.forceShutdown();
    }
  });
});
