import type { ClientHttp2Stream } from 'node:http2';
import { abortError, type LinkCall } from './link-call.ts';
import { encodeFrame } from './message-frame.ts';

/** Writes one message; false when the stream wants a pause. */
export function writeMessage(stream: ClientHttp2Stream, message: Uint8Array): boolean {
  const [head, body] = encodeFrame(message);
  if (body === undefined) return stream.write(head);
  stream.cork();
  stream.write(head);
  const isReady = stream.write(body);
  stream.uncork();
  return isReady;
}

/** Writes the only message of a call and ends the sending half. */
export function endWithMessage(stream: ClientHttp2Stream, message: Uint8Array): void {
  const [head, body] = encodeFrame(message);
  if (body === undefined) {
    stream.end(head);
    return;
  }
  stream.cork();
  stream.write(head);
  stream.end(body);
  stream.uncork();
}

/**
 * Sends requests no faster than the other side takes them. Never throws: what goes wrong ends the call.
 *
 * @remarks The source is told to stop as soon as the call is over, also when it is waiting for its next request then.
 */
export async function sendRequests(
  stream: ClientHttp2Stream,
  requests: AsyncIterable<Uint8Array>,
  call: LinkCall,
): Promise<void> {
  const source = requests[Symbol.asyncIterator]();
  let isExhausted = false;
  stream.once('close', () => {
    // A source that fails while it is being stopped has nobody left to tell.
    if (!isExhausted) Promise.resolve(source.return?.()).catch(() => undefined);
  });
  try {
    while (!call.isSettled) {
      const { done, value } = await source.next();
      if (done === true) {
        isExhausted = true;
        stream.end();
        return;
      }
      if (call.isSettled) return;
      if (!writeMessage(stream, value)) await writable(stream);
    }
  } catch (error) {
    isExhausted = true;
    call.fail(abortError(error));
  }
}

async function writable(stream: ClientHttp2Stream): Promise<void> {
  if (stream.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}
