import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Statuses of what Node's HTTP parser and its timers report. */
const STATUS_OF_PARSER_CODE: Readonly<Record<string, { readonly line: string; readonly message: string }>> = {
  HPE_HEADER_OVERFLOW: {
    line: '431 Request Header Fields Too Large',
    message: 'The request headers are too large.',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    line: '413 Payload Too Large',
    message: 'The chunk extensions are too large.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: { line: '408 Request Timeout', message: 'The request took too long to arrive.' },
};
const BAD_REQUEST = { line: '400 Bad Request', message: 'The request is not valid HTTP/1.1.' };

/**
 * Knows which connection has which answers under way, so that an idle one can be closed at once and a broken one gets
 * an error only where that cannot be taken for part of an answer.
 */
export class HttpConnections {
  readonly #answers: Map<Duplex, Set<ServerResponse>> = new Map();

  /** A client connected. */
  add(socket: Duplex): void {
    this.#answers.set(socket, new Set());
    socket.once('close', () => this.#answers.delete(socket));
  }

  /** A request came in; its answer is under way until it is closed. */
  begin(socket: Duplex, outgoing: ServerResponse): void {
    const answers = this.#answers.get(socket);
    answers?.add(outgoing);
    outgoing.once('close', () => answers?.delete(outgoing));
  }

  /** Ends connections on which no answer is under way. */
  closeIdle(): void {
    for (const [socket, answers] of this.#answers) {
      if (answers.size === 0) socket.destroy();
    }
  }

  /** Ends all connections. */
  closeAll(): void {
    for (const socket of this.#answers.keys()) socket.destroy();
  }

  /** Answers bytes that are no request, where nothing else is being written, and ends the connection. */
  refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const answers = [...(this.#answers.get(socket) ?? [])];
    const isBusy = answers.length > 1 || answers.some((answer) => answer.headersSent);
    if (isBusy || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const { line, message } = STATUS_OF_PARSER_CODE[error.code ?? ''] ?? BAD_REQUEST;
    const body = JSON.stringify({
      error: {
        code: Number(line.slice(0, 3)),
        status: 'INVALID_ARGUMENT',
        reason: 'HTTP_REQUEST_INVALID',
        message,
      },
    });
    socket.end(
      `HTTP/1.1 ${line}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      () => socket.destroy(),
    );
  }
}
