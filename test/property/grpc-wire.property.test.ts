import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { readHeadersFault, readStatus } from '../../kernel/link/answer-status.ts';
import { forwardLines } from '../../kernel/loader/plugin-output.ts';
import { createLogger } from '../../kernel/logger.ts';
import { withDefaultGrpcLimits } from '../../kernel/server/connection-guard.ts';
import { GrpcServer } from '../../kernel/server/grpc-server.ts';
import type { DeclaredError } from '../../sdk/index.ts';
import { StatusError } from '../../kernel/status-error.ts';
import type { Target } from '../../kernel/target.ts';
import { callHeaders, Frame, frameOf, RawClient } from '../support/raw-http2.ts';
import { rawCall } from '../kernel/drills/processes.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

const log = createLogger({ level: 'silent' });

/** Path of the last call. */
let calledPath = '';

/** Looks at all there is of a call, and gives it back. */
const target: Target = {
  unary: async (path, request, call) => {
    calledPath = path;
    for (const [name, value] of call.headers)
      if (name.startsWith('x')) call.responseTrailers.set(name, value);
    assert.ok(call.deadlineMs === undefined || Number.isFinite(call.deadlineMs));
    return request;
  },
  async *stream(path, requests) {
    calledPath = path;
    yield* requests;
  },
};

describe('the gRPC listener, for anything that a client sends', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let server: GrpcServer;
  let address: string;
  let session: ClientHttp2Session;

  before(async () => {
    const identify = (): undefined => undefined;
    const limits = withDefaultGrpcLimits({ checkIntervalMs: 10, probeMs: 50 });
    server = new GrpcServer({ target, identify, maxMessageBytes: 1_000, log, limits });
    server.expose('/t.T/Echo', 'unary');
    server.expose('/t.T/Chat', 'bidi_streaming');
    address = await server.listen('127.0.0.1', 0);
    session = connect(`http://${address}`);
  });

  after(async () => {
    session.close();
    await server.close(100);
  });

  afterEach(async () => {
    assert.equal((await rawCall(address, '/t.T/Echo', Buffer.from('x'))).code, 0);
  });

  /** Status of a call; empty when the server reset its stream. */
  async function statusOf(headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<string> {
    if (session.closed || session.destroyed) session = connect(`http://${address}`);
    const call = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', ...headers };
    const stream = session.request(call);
    let status = '';
    const take = (block: IncomingHttpHeaders): void => {
      status = String(block['grpc-status'] ?? status);
    };
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('error', () => undefined);
    stream.resume();
    stream.end(body);
    await once(stream, 'close');
    return status;
  }

  const MESSAGE = Buffer.from([0, 0, 0, 0, 1, 65]);
  const value = fc.stringMatching(/^[\x21-\x7e\x80-\xff]([\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?$/);

  it('answers every call with a status, whatever its grpc-timeout', async () => {
    const timeout = fc.oneof(
      fc
        .tuple(fc.stringMatching(/^\d{1,12}$/), fc.constantFrom('H', 'M', 'S', 'm', 'u', 'n', 'x', ''))
        .map((one) => one.join('')),
      value,
    );
    await fc.assert(
      fc.asyncProperty(timeout, async (text) => {
        const status = await statusOf({ ':path': '/t.T/Echo', 'grpc-timeout': text }, MESSAGE);
        assert.ok(['0', '4', '13'].includes(status), `${text}: ${status}`);
      }),
    );
  });

  it('answers every call with a status, whatever its metadata and bytes', async () => {
    const name = fc.oneof(
      fc.constantFrom(
        'grpc-encoding',
        'grpc-accept-encoding',
        'x-bin',
        'authorization',
        'content-encoding',
        'x-request-id',
      ),
      fc.stringMatching(/^x[a-z0-9_.-]{1,10}(-bin)?$/),
    );
    const path = fc.constantFrom('/t.T/Echo', '/t.T/Chat', '/t.T/None', '/', '/t.T/Echo?x', '/\u00ff');
    const body = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(MESSAGE));
    const headers = fc.uniqueArray(fc.tuple(name, value), { maxLength: 4, selector: ([key]) => key });
    await fc.assert(
      fc.asyncProperty(path, headers, body, async (where, metadata, bytes) => {
        const status = await statusOf({ ':path': where, ...Object.fromEntries(metadata) }, bytes);
        assert.match(status, /^\d{1,2}$/);
      }),
    );
  });

  it('takes a call to the path that it came for, registered or not', async () => {
    const paths = fc.oneof(
      fc.stringMatching(/^\/[\x21-\x7e]{0,60}$/),
      // HTTP/2 has no paths without a slash.
      fc.constantFrom('/t.T/Echo', '/t.T/Chat', '/t.T/None', '/', '//'),
    );
    await fc.assert(
      fc.asyncProperty(paths, async (path) => {
        calledPath = '';
        const status = await statusOf({ ':path': path }, MESSAGE);
        assert.deepEqual([status, calledPath], ['0', path]);
      }),
    );
  });

  it('outlives any frames', async () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom(callHeaders('/t.T/Echo'), callHeaders('/t.T/Chat'), MESSAGE),
    );
    const frame = fc
      .tuple(
        fc.oneof(fc.nat(10), fc.nat(255)),
        fc.oneof(fc.constantFrom(0, 1, 4, 5), fc.nat(255)),
        fc.nat(9),
        payload,
      )
      .map(([type, flags, stream, bytes]) => frameOf(type, [flags, stream], bytes));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(frame, fc.uint8Array()), { maxLength: 12 }), async (frames) => {
        const client = await RawClient.greet(address);
        client.send(...frames);
        // What it did is done when this is answered, or the connection is over.
        client.send(frameOf(Frame.PING, [0, 0], Buffer.alloc(8)));
        await Promise.race([client.got(Frame.PING, 0), client.got(Frame.GOAWAY, 0), client.closed()]);
        client.close();
      }),
    );
  });
});

describe('what a plugin answers and writes, whatever it is', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const field = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom('0', '00', '16', '17', '-1', '5', '%zz'),
  );

  it('is a status that gRPC knows, or a fault that names the plugin', () => {
    const names = fc.constantFrom(
      'grpc-status',
      'grpc-message',
      'grpc-status-details-bin',
      ':status',
      'content-type',
      'x-a',
      'x-bin',
    );
    fc.assert(
      fc.property(fc.dictionary(names, field), (block) => {
        for (const error of [readStatus(block, "plugin 'a.b'"), readHeadersFault(block, "plugin 'a.b'")]) {
          if (error instanceof StatusError) assert.ok(error.code > 0 && error.code <= 16);
          else if (error !== undefined) assert.match((error as DeclaredError).message, /plugin 'a\.b'/);
        }
      }),
    );
  });

  it('becomes lines of at most 64 KiB that are text', async () => {
    const entry = fc.record(
      { level: fc.jsonValue(), message: fc.jsonValue(), time: fc.jsonValue(), __proto__: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const piece = fc.oneof(
      fc.uint8Array(),
      entry.map((json) => Buffer.from(`${JSON.stringify(json)}\n`)),
      fc.constantFrom(Buffer.from('\n'), Buffer.from('{'), Buffer.alloc(70_000, 'a')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        const stream = new PassThrough();
        const lines: string[] = [];
        const written = createLogger({ format: 'json', level: 'debug', write: (line) => lines.push(line) });
        const release = forwardLines([stream], { log: written });
        for (const bytes of pieces) stream.write(bytes);
        stream.end();
        release();
        await once(stream, 'end');
        for (const line of lines) {
          assert.ok(line.length < 200_000);
          assert.equal(typeof JSON.parse(line), 'object');
        }
      }),
    );
  });
});
