import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';

const { NGHTTP2_REFUSED_STREAM, NGHTTP2_NO_ERROR } = http2.constants;

/** A server that answers health checks with UNIMPLEMENTED, so that it counts as healthy, and looks at no other call. */
export class PickyServer {
  /** How calls are refused: each by itself, or with the whole connection. */
  manner: 'reset' | 'goaway' = 'reset';
  /** Calls refused so far. */
  refused = 0;
  readonly #server: http2.Http2Server;
  readonly #sessions: Set<http2.ServerHttp2Session> = new Set();

  private constructor(server: http2.Http2Server) {
    this.#server = server;
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('error', () => undefined);
      session.once('close', () => this.#sessions.delete(session));
    });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      if (headers[':path']?.startsWith('/grpc.health.') === true) {
        stream.respond({ 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
      } else {
        this.#refuse(stream);
      }
    });
  }

  static async start(): Promise<PickyServer> {
    const server = http2.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PickyServer(server);
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  #refuse(stream: http2.ServerHttp2Stream): void {
    this.refused += 1;
    // No number is left below that of the first call.
    if (this.manner === 'reset' || stream.id === 1) {
      stream.close(NGHTTP2_REFUSED_STREAM);
      return;
    }
    // Every stream after the one before this: so nothing was done for this one.
    const { session } = stream;
    session?.goaway(NGHTTP2_NO_ERROR, (stream.id ?? 0) - 2);
    setImmediate(() => session?.destroy());
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
