import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createLogger } from '../../kernel/logger.ts';
import type { HttpListenerLimits } from '../../kernel/server/http-limits.ts';
import type { HttpExchange } from '../../kernel/server/http-exchange.ts';
import { HttpListener, type HttpListenerOptions } from '../../kernel/server/http-listener.ts';
import type { FetchHandler } from '../../sdk/index.ts';

/** What a test looks at of an answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** A listener with one handler under `/t`, and the ways to talk to it. */
export class HttpProbe {
  /** Closed by {@link HttpProbe.close}. */
  readonly opened: { close(): unknown }[] = [];
  port = 0;
  logged: string[] = [];
  exchanges: HttpExchange[] = [];
  #listener: HttpListener | undefined;

  get listener(): HttpListener {
    if (this.#listener === undefined) throw new Error('start() was not called');
    return this.#listener;
  }

  async start(handler: FetchHandler, options: Partial<HttpListenerOptions> = {}): Promise<void> {
    this.logged = [];
    this.exchanges = [];
    const started = new HttpListener({
      name: 'http',
      host: '127.0.0.1',
      port: 0,
      log: createLogger({ format: 'json', write: (line) => this.logged.push(line) }),
      observe: (exchange) => this.exchanges.push(exchange),
      ...options,
    });
    started.mount('/t', handler, 'test.plugin');
    this.port = (await started.listen()).port;
    this.#listener = started;
    this.opened.push({ close: () => started.close() });
  }

  async send(path: string, options: RequestOptions = {}, body?: string | Uint8Array): Promise<HttpAnswer> {
    const request = httpRequest({ port: this.port, path, host: '127.0.0.1', agent: false, ...options });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const chunks: Uint8Array[] = [];
    for await (const chunk of response) chunks.push(chunk as Uint8Array);
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: Buffer.concat(chunks).toString(),
    };
  }

  async open(): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1');
    socket.on('error', () => undefined);
    this.opened.push({ close: () => socket.destroy() });
    await once(socket, 'connect');
    return socket;
  }

  /** Writes bytes as they are and reads all that comes until the listener closes the connection. */
  async raw(bytes: string): Promise<string> {
    const socket = await this.open();
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.write(bytes);
    if (!socket.closed) await once(socket, 'close');
    return text;
  }

  async close(): Promise<void> {
    for (const { close } of this.opened.splice(0)) await close();
  }
}

/** Limits short enough to be waited for. */
export function short(limits: Partial<HttpListenerLimits>): Partial<HttpListenerOptions> {
  return { limits: { checkIntervalMs: 20, lingerMs: 50, ...limits } };
}

/** Reason in the body of an error answer. */
export function reason({ text }: HttpAnswer): string {
  return (JSON.parse(text) as { error: { reason: string } }).error.reason;
}

/** Answers with the body of the request. */
export async function echo(request: Request): Promise<Response> {
  return new Response(await request.arrayBuffer());
}

/** A promise and the function that fulfils it. */
export function resolvers<Value = void>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
