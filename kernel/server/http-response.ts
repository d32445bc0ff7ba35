import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** Options of {@link sendResponse}. */
export interface SendOptions {
  /** True for HEAD: status and headers only. */
  readonly isHeadOnly: boolean;
  /** Longest time the client may take to accept what was written, in milliseconds. */
  readonly stallTimeoutMs: number;
  /** Aborted when the client went away or the instance stopped. */
  readonly signal: AbortSignal;
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;
type Chunk = Awaited<ReturnType<Reader['read']>>;

const LATER: unique symbol = Symbol('later');

/**
 * Writes a handler's answer. A body that is complete at once goes out with its length in one packet; one that is made
 * bit by bit (server-sent events) is sent as it is made, never held back.
 *
 * @returns bytes of the body that were written. Rejects when the body fails or the client stalls; the socket is then
 * closed, which is the only way to tell a client that an answer is not complete.
 */
export async function sendResponse(
  response: Response,
  outgoing: ServerResponse,
  options: SendOptions,
): Promise<number> {
  writeHeaders(response, outgoing);
  if (options.isHeadOnly || response.body === null) {
    await response.body?.cancel();
    outgoing.end();
    return 0;
  }
  const reader: Reader = response.body.getReader();
  const stop = (): void => void reader.cancel(options.signal.reason).catch(() => undefined);
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    return await writeBody(reader, outgoing, options);
  } catch (error) {
    stop();
    outgoing.destroy();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', stop);
  }
}

function writeHeaders(response: Response, outgoing: ServerResponse): void {
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) {
    if (name !== 'set-cookie') outgoing.setHeader(name, value);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader('set-cookie', cookies);
}

async function writeBody(reader: Reader, outgoing: ServerResponse, options: SendOptions): Promise<number> {
  const first = await readOrFlush(reader, outgoing);
  if (first.done) {
    outgoing.end();
    return 0;
  }
  const pending = reader.read();
  const second = await soon(pending);
  if (second !== LATER && second.done) return endWhole(first.value, outgoing);
  let sentBytes = 0;
  let next: Chunk = first;
  let isFirst = true;
  while (!next.done && !options.signal.aborted) {
    sentBytes += next.value.byteLength;
    if (!outgoing.write(next.value)) await drained(outgoing, options.stallTimeoutMs);
    next = await (isFirst ? pending : reader.read());
    isFirst = false;
  }
  options.signal.throwIfAborted();
  outgoing.end();
  return sentBytes;
}

function endWhole(body: Uint8Array, outgoing: ServerResponse): number {
  // The headers of a body that took its time went ahead of it.
  if (!outgoing.headersSent && !outgoing.hasHeader('content-length'))
    outgoing.setHeader('content-length', body.byteLength);
  outgoing.end(body);
  return body.byteLength;
}

/** Waits for the first chunk; when it is not there at once, the headers go ahead of it. */
async function readOrFlush(reader: Reader, outgoing: ServerResponse): Promise<Chunk> {
  const pending = reader.read();
  const first = await soon(pending);
  if (first !== LATER) return first;
  outgoing.flushHeaders();
  return pending;
}

/** The value if the promise settles within this turn of the event loop. */
function soon<Value>(promise: Promise<Value>): Promise<Value | typeof LATER> {
  return Promise.race([promise, new Promise<typeof LATER>((resolve) => setImmediate(resolve, LATER))]);
}

/** Waits until the client took what was written. */
async function drained(outgoing: ServerResponse, stallTimeoutMs: number): Promise<void> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  const timer = setTimeout(stop, stallTimeoutMs);
  outgoing.once('close', stop);
  try {
    await once(outgoing, 'drain', { signal: abort.signal });
  } finally {
    clearTimeout(timer);
    outgoing.off('close', stop);
  }
}
