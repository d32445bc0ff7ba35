import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '../../../support/eventually.ts';

/** A call of a webhook as it came. */
export interface Hook {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly json: {
    readonly status: string;
    readonly alerts: readonly {
      readonly status: string;
      readonly labels: Readonly<Record<string, string>>;
    }[];
  };
}

/** A server that takes webhooks; answers as the test says. */
export class WebhookReceiver {
  readonly hooks: Hook[] = [];
  /** Answers one call; 204 by default. */
  answer: (response: ServerResponse, hook: Hook) => void = (response) => response.writeHead(204).end();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString();
        const hook = { headers: request.headers, body, json: JSON.parse(body) as Hook['json'] };
        this.hooks.push(hook);
        this.answer(response, hook);
      });
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  /** Resolves when so many calls have come. */
  async received(count: number): Promise<Hook> {
    await eventually(() => this.hooks.length >= count);
    return this.hooks[count - 1] as Hook;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
