import { mkdtemp, rm } from 'node:fs/promises';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';

type Bytes = Buffer;
const identity = (bytes: Bytes): Bytes => bytes;

/** A fresh folder for a socket, and its removal. */
export async function socketFolder(): Promise<{ socketPath: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'link-'));
  return {
    socketPath: path.join(folder, 'test.sock'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What the server noticed, for assertions. */
export interface Observed {
  metadata: grpc.Metadata | undefined;
  deadline: Date | number | undefined;
  cancelled: Promise<void>;
  received: number;
}

/** A real grpc-js server that speaks bytes, with one method for each behaviour under test. */
export class FixtureServer {
  readonly observed: Observed = {
    metadata: undefined,
    deadline: undefined,
    cancelled: Promise.resolve(),
    received: 0,
  };
  readonly #server: grpc.Server;
  #announceCancel: () => void = () => undefined;

  constructor() {
    this.#server = new grpc.Server({
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    });
    this.observed.cancelled = new Promise((resolve) => {
      this.#announceCancel = resolve;
    });
    this.#registerUnary();
    this.#registerStreams();
  }

  #registerUnary(): void {
    const unary = (path: string, handler: grpc.handleUnaryCall<Bytes, Bytes>): void => {
      this.#server.register(path, handler, identity, identity, 'unary');
    };
    unary('/t.T/Echo', (call, callback) => {
      this.observed.metadata = call.metadata;
      this.observed.deadline = call.getDeadline();
      const headers = new grpc.Metadata();
      headers.set('x-seen', 'yes');
      headers.set('token-bin', Buffer.from([0, 255, 1]));
      call.sendMetadata(headers);
      const trailers = new grpc.Metadata();
      trailers.set('x-cost', '7');
      callback(null, call.request, trailers);
    });
    unary('/t.T/Plain', (call, callback) => callback(null, call.request));
    unary('/t.T/Fail', (_call, callback) => {
      const metadata = new grpc.Metadata();
      metadata.set('grpc-status-details-bin', Buffer.from([8, 5]));
      metadata.set('x-reason', 'busy');
      callback({ code: grpc.status.NOT_FOUND, details: 'Model „ä“ is 100 % gone', metadata });
    });
    unary('/t.T/Hang', (call) => {
      call.on('cancelled', () => this.#announceCancel());
    });
  }

  #registerStreams(): void {
    const bytes = identity;
    const collect: grpc.handleClientStreamingCall<Bytes, Bytes> = (call, callback) => {
      let size = 0;
      call.on('data', (chunk: Bytes) => {
        size += chunk.length;
      });
      call.on('end', () => callback(null, Buffer.from(String(size))));
      call.on('cancelled', () => this.#announceCancel());
    };
    this.#server.register('/t.T/Collect', collect, bytes, bytes, 'clientStream');
    const refuse: grpc.handleClientStreamingCall<Bytes, Bytes> = (_call, callback) =>
      callback({ code: grpc.status.RESOURCE_EXHAUSTED, details: 'no more' });
    this.#server.register('/t.T/Refuse', refuse, bytes, bytes, 'clientStream');
    const count: grpc.handleServerStreamingCall<Bytes, Bytes> = (call) => {
      for (let index = 0; index < Number(call.request.toString()); index += 1)
        call.write(Buffer.from(String(index)));
      const trailers = new grpc.Metadata();
      trailers.set('x-end', 'here');
      call.end(trailers);
    };
    this.#server.register('/t.T/Count', count, bytes, bytes, 'serverStream');
    const flood: grpc.handleServerStreamingCall<Bytes, Bytes> = (call) => {
      call.on('cancelled', () => this.#announceCancel());
      const block = Buffer.alloc(64 * 1024);
      const next = (): void => {
        while (!call.cancelled && call.write(block)) this.observed.received += 1;
        this.observed.received += 1;
        if (!call.cancelled) call.once('drain', next);
      };
      next();
    };
    this.#server.register('/t.T/Flood', flood, bytes, bytes, 'serverStream');
    const failAfterTwo: grpc.handleServerStreamingCall<Bytes, Bytes> = (call) => {
      call.write(Buffer.from('a'));
      call.write(Buffer.from('b'));
      call.emit('error', { code: grpc.status.ABORTED, details: 'lost the race' });
    };
    this.#server.register('/t.T/FailAfterTwo', failAfterTwo, bytes, bytes, 'serverStream');
    const echo: grpc.handleBidiStreamingCall<Bytes, Bytes> = (call) => {
      call.on('data', (chunk: Bytes) => {
        this.observed.received += 1;
        if (!call.write(chunk)) {
          call.pause();
          call.once('drain', () => call.resume());
        }
      });
      call.on('end', () => call.end());
      call.on('cancelled', () => this.#announceCancel());
    };
    this.#server.register('/t.T/Chat', echo, bytes, bytes, 'bidi');
    const deaf: grpc.handleBidiStreamingCall<Bytes, Bytes> = (call) => {
      call.on('cancelled', () => this.#announceCancel());
    };
    this.#server.register('/t.T/Deaf', deaf, bytes, bytes, 'bidi');
  }

  async listen(address: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

/** An HTTP/2 server whose answers are written by hand, to send what no gRPC library would. */
export class RawServer {
  readonly sessions: Set<http2.ServerHttp2Session> = new Set();
  readonly #server: http2.Http2Server;

  constructor(answer: (stream: http2.ServerHttp2Stream, session: http2.ServerHttp2Session) => void) {
    this.#server = http2.createServer();
    this.#server.on('session', (session) => {
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => undefined);
    });
    this.#server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      const { session } = stream;
      if (session !== undefined) answer(stream, session as http2.ServerHttp2Session);
    });
  }

  async listen(socketPath: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(socketPath, resolve);
    });
  }

  async stop(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}

/** A server that speaks no HTTP/2 at all. */
export async function plainServer(
  socketPath: string,
  onSocket: (socket: net.Socket) => void,
): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });
  return server;
}
