import type { CallHeaders } from '../../sdk/index.ts';
import { readMetadata } from '../wire/call-metadata.ts';
import type { HeaderBlock } from '../wire/http2/protocol.ts';
import { MessageQueue } from '../wire/message-queue.ts';
import type { AnswerSink } from './link-call.ts';

/** Callbacks for the metadata of an answer. */
export interface AnswerListener {
  readonly onHeaders?: ((headers: CallHeaders) => void) | undefined;
  readonly onTrailers?: ((trailers: CallHeaders) => void) | undefined;
}

/** Queues the messages of an answer for one consumer, and stops reading while the consumer is behind. */
export class StreamSink implements AnswerSink {
  readonly messages: MessageQueue = new MessageQueue();
  readonly #listener: AnswerListener;

  constructor(listener: AnswerListener) {
    this.#listener = listener;
  }

  onHeaders(block: HeaderBlock): void {
    this.#listener.onHeaders?.(readMetadata(block));
  }

  onMessage(message: Uint8Array): void {
    this.messages.push(message);
  }

  onEnd(error: Error | undefined, trailers: HeaderBlock): void {
    if (error === undefined) this.#listener.onTrailers?.(readMetadata(trailers));
    this.messages.end(error);
  }
}
