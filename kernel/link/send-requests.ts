import type { Http2Stream } from '../wire/http2/stream.ts';
import { abortError, type LinkCall } from './link-call.ts';
import { encodeFrame } from '../wire/message-frame.ts';

/** Writes the only message of a call and ends the sending half. */
export function endWithMessage(stream: Http2Stream, message: Uint8Array): void {
  stream.write(encodeFrame(message), true);
}

/**
 * Sends requests no faster than the other side takes them. Never throws: what goes wrong ends the call.
 *
 * @remarks The source is told to stop as soon as the call is over, also when it is waiting for its next request then.
 */
export async function sendRequests(
  stream: Http2Stream,
  requests: AsyncIterable<Uint8Array>,
  call: LinkCall,
): Promise<void> {
  const source = requests[Symbol.asyncIterator]();
  let isExhausted = false;
  const stopSource = (): void => {
    // A source that fails while it is being stopped has nobody left to tell.
    if (!isExhausted) Promise.resolve(source.return?.()).catch(() => undefined);
  };
  if (stream.isOver) stopSource();
  else stream.onOver = stopSource;
  try {
    while (!call.isSettled) {
      const { done, value } = await source.next();
      if (done === true) {
        isExhausted = true;
        stream.write([], true);
        return;
      }
      if (call.isSettled) return;
      if (!stream.write(encodeFrame(value))) await stream.writable();
    }
  } catch (error) {
    isExhausted = true;
    call.fail(abortError(error));
  }
}
