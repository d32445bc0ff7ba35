import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Http2Server, ServerHttp2Stream } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { tendStreams } from '../../../kernel/server/http2-streams.ts';
import { rawCall } from '../drills/processes.ts';

/** The HTTP/2 server that grpc-js made for its one port. */
function http2Of(server: grpc.Server): Http2Server {
  const [http2Server] = (Reflect.get(server, 'http2Servers') as Map<Http2Server, unknown>).keys();
  assert.ok(http2Server !== undefined);
  return http2Server;
}

describe('calls that have ended', () => {
  it('keep nothing but themselves, and everybody was told of the end', async () => {
    const server = new grpc.Server();
    const identity = (bytes: Buffer): Buffer => bytes;
    const echo: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => callback(null, call.request);
    server.register('/t.T/Give', echo as grpc.UntypedHandleCall, identity, identity, 'unary');
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    tendStreams(server);
    const opened = once(http2Of(server), 'stream') as Promise<[ServerHttp2Stream]>;
    const answer = rawCall(`127.0.0.1:${port}`, '/t.T/Give', Buffer.from('a'));
    const [stream] = await opened;
    const closed = once(stream, 'close');
    assert.notDeepEqual(stream.eventNames(), []);
    assert.equal((await answer).bytes.toString(), 'a');
    await closed;
    assert.deepEqual(stream.eventNames(), []);
    server.forceShutdown();
  });
});
