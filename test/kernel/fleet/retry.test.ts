import assert from 'node:assert/strict';
import type * as grpc from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Balancer } from '../../../kernel/fleet/balancer.ts';
import { MetricsRegistry } from '../../../kernel/metrics.ts';
import { StatusError } from '../../../kernel/status-error.ts';
import { Code, isDeclaredError } from '../../../sdk/index.ts';
import {
  JoinRequestSchema,
  JoinResponseSchema,
  RepeatResponseSchema,
  SayResponseSchema,
} from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { type Answer, bareEcho, identity, saying, unavailable } from '../../support/bare-echo.ts';
import { openBalancer } from './open-balancer.ts';
import { PickyServer } from './picky-server.ts';

const SAY = '/echo.v1.EchoService/Say';
const JOIN = '/echo.v1.EchoService/Join';
const CHAT = '/echo.v1.EchoService/Chat';
const REPEAT = '/echo.v1.EchoService/Repeat';
const NOTHING = new Uint8Array();
const UNAVAILABLE = { code: Code.UNAVAILABLE, details: 'overloaded' };

/** An answer that counts how often it was asked for. */
class Counted {
  count = 0;
  readonly #answer: Answer;

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  readonly answer: Answer = (callback) => {
    this.count += 1;
    this.#answer(callback);
  };
}

describe('a call that failed at one address', function () {
  this.timeout(60_000);
  const servers: grpc.Server[] = [];
  let picky: PickyServer | undefined;
  let balancer: Balancer | undefined;
  let metrics: MetricsRegistry;

  afterEach(async () => {
    await balancer?.close();
    await picky?.stop();
    picky = undefined;
    for (const server of servers.splice(0)) server.forceShutdown();
  });

  async function serve(
    answer: Answer,
    more: (server: grpc.Server) => void = () => undefined,
  ): Promise<string> {
    const { server, address } = await bareEcho(answer);
    servers.push(server);
    more(server);
    return address;
  }

  async function over(...addresses: string[]): Promise<Balancer> {
    metrics = new MetricsRegistry();
    balancer = await openBalancer(addresses, metrics.kernel);
    return balancer;
  }

  /** How many calls were made once more, by kind. */
  async function retries(): Promise<Record<string, number>> {
    const pattern = /^lamella_remote_retries_total\{plugin="example\.echo",kind="(\w+)"\} (\d+)$/gm;
    const found = [...(await metrics.exposition()).matchAll(pattern)];
    return Object.fromEntries(found.map(([, kind = '', count]) => [kind, Number(count)]));
  }

  /** Says something often enough that each of two addresses has its turn. */
  async function versions(calls: number, path: string = SAY): Promise<string[]> {
    const found: string[] = [];
    for (let call = 0; call < calls; call += 1) {
      const { message } = (await balancer?.unary(path, NOTHING)) ?? { message: NOTHING };
      found.push(fromBinary(SayResponseSchema, message).version);
    }
    return found;
  }

  it('is made at another when its method has no effects, and says so', async () => {
    const bad = new Counted(unavailable());
    let attempts: unknown;
    const good = await serve(saying('good'), (server) => {
      server.unregister(SAY);
      const handler: grpc.handleUnaryCall<Buffer, Buffer> = ({ metadata }, callback) => {
        attempts = metadata.get('grpc-previous-rpc-attempts')[0] ?? attempts;
        saying('good')(callback);
      };
      server.register(SAY, handler, identity, identity, 'unary');
    });
    await over(await serve(bad.answer), good);
    assert.deepEqual(await versions(4), ['good', 'good', 'good', 'good']);
    assert.ok(bad.count > 0);
    assert.equal(attempts, '1');
  });

  it('fails when its method may not run twice', async () => {
    const handler: grpc.handleBidiStreamingCall<Buffer, Buffer> = (call) => {
      call.emit('error', UNAVAILABLE);
    };
    const chat = (server: grpc.Server): void => {
      server.register(CHAT, handler as grpc.UntypedHandleCall as never, identity, identity, 'bidi');
    };
    const kernel = await over(await serve(saying('a'), chat), await serve(saying('b'), chat));
    await assert.rejects(drained(kernel, CHAT, []), (error) => {
      return error instanceof StatusError && error.code === Code.UNAVAILABLE;
    });
  });

  it('is not made again when the server says never', async () => {
    const bad = new Counted(unavailable('-1'));
    const kernel = await over(await serve(bad.answer));
    await assert.rejects(kernel.unary(SAY, NOTHING), /overloaded/);
    assert.equal(bad.count, 1);
  });

  it('is not made again when the time that the server asks for is more than is left', async () => {
    const bad = new Counted(unavailable('3600000'));
    const good = new Counted(saying('good'));
    const kernel = await over(await serve(bad.answer), await serve(good.answer));
    const deadlineMs = Date.now() + 30_000;
    await assert.rejects(kernel.unary(SAY, NOTHING, { deadlineMs }), /overloaded/);
    assert.deepEqual([bad.count, good.count], [1, 0]);
    // The server that asked for a rest has it.
    assert.deepEqual(await versions(4), ['good', 'good', 'good', 'good']);
    assert.equal(bad.count, 1);
  });

  it('is made again after the time that the server asks for, at the only address too', async () => {
    let asked = 0;
    const kernel = await over(
      await serve((callback) => {
        asked += 1;
        (asked === 1 ? unavailable('20') : saying('second'))(callback);
      }),
    );
    const { message } = await kernel.unary(SAY, NOTHING);
    assert.equal(fromBinary(SayResponseSchema, message).version, 'second');
  });

  it('is made four times at most', async () => {
    const bad = new Counted(unavailable());
    const kernel = await over(await serve(bad.answer));
    await assert.rejects(kernel.unary(SAY, NOTHING), /overloaded/);
    assert.equal(bad.count, 4);
    assert.deepEqual(await retries(), { repeated: 3 });
  });

  it('ends when its caller leaves while it waits to be made again', async () => {
    const caller = new AbortController();
    let offered = 0;
    const kernel = await over(await serve(unavailable('20000')));
    const call = kernel.unary(SAY, NOTHING, {
      signal: caller.signal,
      // The first is for the try, the second for the wait.
      onCancellable: () => {
        offered += 1;
        if (offered === 2) setImmediate(() => caller.abort());
      },
    });
    await assert.rejects(call, (error) => isDeclaredError(error) && error.reason === 'LINK_CANCELLED');
  });

  it('sends the requests of a stream again, also while the caller still makes them', async () => {
    const broken = (server: grpc.Server): void => {
      const handler: grpc.handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
        call.once('data', () => callback(UNAVAILABLE));
      };
      server.register(JOIN, handler as grpc.UntypedHandleCall as never, identity, identity, 'clientStream');
    };
    const whole = (server: grpc.Server): void => {
      const handler: grpc.handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
        let joined = '';
        call.on('data', (bytes: Buffer) => {
          joined += Buffer.from(fromBinary(JoinRequestSchema, bytes).payload).toString();
          reached();
        });
        call.on('end', () => {
          const payload = Buffer.from(joined);
          callback(null, Buffer.from(toBinary(JoinResponseSchema, create(JoinResponseSchema, { payload }))));
        });
      };
      server.register(JOIN, handler as grpc.UntypedHandleCall as never, identity, identity, 'clientStream');
    };
    let reached: () => void = () => undefined;
    const isElsewhere = new Promise<void>((resolve) => {
      reached = resolve;
    });
    async function* requests(): AsyncGenerator<Uint8Array> {
      yield join('one ');
      await isElsewhere;
      yield join('two');
    }
    const kernel = await over(await serve(saying('a'), broken), await serve(saying('b'), whole));
    const [answer] = await drained(kernel, JOIN, requests());
    assert.equal(
      Buffer.from(fromBinary(JoinResponseSchema, answer ?? NOTHING).payload).toString(),
      'one two',
    );
  });

  it('is not made again once it has brought an answer', async () => {
    const one = Buffer.from(toBinary(RepeatResponseSchema, create(RepeatResponseSchema)));
    let asked = 0;
    const repeat = (server: grpc.Server): void => {
      const handler: grpc.handleServerStreamingCall<Buffer, Buffer> = (call) => {
        asked += 1;
        call.write(one, () => call.emit('error', UNAVAILABLE));
      };
      server.register(REPEAT, handler as grpc.UntypedHandleCall as never, identity, identity, 'serverStream');
    };
    const kernel = await over(await serve(saying('a'), repeat), await serve(saying('b'), repeat));
    await assert.rejects(drained(kernel, REPEAT, [NOTHING]), /overloaded/);
    assert.equal(asked, 1);
  });

  it('is not made again when its requests were more than are kept', async () => {
    let asked = 0;
    const broken = (server: grpc.Server): void => {
      const handler: grpc.handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
        asked += 1;
        call.resume();
        call.once('end', () => callback(UNAVAILABLE));
      };
      server.register(JOIN, handler as grpc.UntypedHandleCall as never, identity, identity, 'clientStream');
    };
    const kernel = await over(await serve(saying('a'), broken), await serve(saying('b'), broken));
    const large = Array.from({ length: 3 }, () => join('x'.repeat(400_000)));
    await assert.rejects(drained(kernel, JOIN, large), /overloaded/);
    assert.equal(asked, 1);
  });

  it('is made at another whatever its method, when the server refused to look at it', async () => {
    picky = await PickyServer.start();
    const chat = (server: grpc.Server): void => {
      const handler: grpc.handleBidiStreamingCall<Buffer, Buffer> = (call) => {
        call.on('data', (bytes: Buffer) => call.write(bytes));
        call.on('end', () => call.end());
      };
      server.register(CHAT, handler as grpc.UntypedHandleCall as never, identity, identity, 'bidi');
    };
    const kernel = await over(picky.address, await serve(saying('b'), chat));
    for (const manner of ['reset', 'goaway'] as const) {
      picky.manner = manner;
      const refused = picky.refused;
      const sent = [join('a'), join('b')];
      for (let call = 0; call < 2; call += 1) {
        assert.deepEqual(
          (await drained(kernel, CHAT, sent)).map((bytes) => Buffer.from(bytes)),
          sent,
        );
      }
      assert.ok(picky.refused > refused, manner);
    }
    assert.deepEqual(Object.keys(await retries()), ['unsent']);
  });
});

function join(text: string): Buffer {
  return Buffer.from(toBinary(JoinRequestSchema, create(JoinRequestSchema, { payload: Buffer.from(text) })));
}

async function drained(
  balancer: Balancer,
  path: string,
  requests: AsyncIterable<Uint8Array> | readonly Uint8Array[],
): Promise<Uint8Array[]> {
  const answers: Uint8Array[] = [];
  async function* each(): AsyncGenerator<Uint8Array> {
    yield* requests;
  }
  for await (const answer of balancer.stream(path, each())) answers.push(answer);
  return answers;
}
