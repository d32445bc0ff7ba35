import assert from 'node:assert/strict';
import { createLogger } from '../../../kernel/logger.ts';
import { GrpcServer } from '../../../kernel/server/grpc-server.ts';
import { withDefaultGrpcLimits } from '../../../kernel/server/connection-guard.ts';
import type { Target } from '../../../kernel/target.ts';
import {
  callHeaders,
  END_HEADERS,
  Frame,
  frameOf,
  messageFrame,
  RawClient,
} from '../../support/raw-http2.ts';

const BUSY_MS = 300;

/** Keeps the thread for a while with each call, and notes which were begun. */
const begun: string[] = [];
const target: Target = {
  unary: async (_path, request) => {
    begun.push(Buffer.from(request).toString());
    const endMs = performance.now() + BUSY_MS;
    while (performance.now() < endMs);
    return request;
  },
  stream: (_path, requests) => requests,
};

describe('calls that come all at once', function () {
  this.timeout(30_000);

  it('are refused at no cost when they have waited too long for those before, unless they have time', async () => {
    let refused = 0;
    const server = new GrpcServer({
      target,
      identify: () => undefined,
      maxMessageBytes: 1_000,
      log: createLogger({ level: 'silent' }),
      limits: withDefaultGrpcLimits(),
      onOverload: () => (refused += 1),
    });
    server.expose('/t.T/Work', 'unary');
    const client = await RawClient.greet(await server.listen('127.0.0.1', 0));
    const call = (id: number, name: string, timeout?: string): Buffer => {
      const more: [string, string][] = timeout === undefined ? [] : [['grpc-timeout', timeout]];
      const head = frameOf(Frame.HEADERS, [END_HEADERS, id], callHeaders('/t.T/Work', more));
      return Buffer.concat([head, messageFrame(id, Buffer.from(name))]);
    };
    client.send(call(1, 'first', '1S'), call(3, 'hurried', '1S'), call(5, 'patient', '60S'), call(7, 'idle'));
    await Promise.all([1, 3, 5, 7].map((id) => client.got(Frame.HEADERS, id)));
    assert.deepEqual(begun, ['first', 'patient', 'idle']);
    assert.equal(refused, 1);
    // The next turn begins anew.
    client.send(call(9, 'later', '1S'));
    await client.got(Frame.DATA, 9);
    // Whoever has left before the turn of his call gets nothing of the server's time.
    const cancel = frameOf(Frame.RST_STREAM, [0, 13], Buffer.from([0, 0, 0, 8]));
    client.send(call(11, 'before'), call(13, 'gone'), call(15, 'after'), cancel);
    await client.got(Frame.DATA, 15);
    assert.deepEqual(begun.slice(3), ['later', 'before', 'after']);
    client.close();
    await server.close(100);
  });
});
