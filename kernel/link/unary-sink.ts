import type { CallHeaders } from '../../sdk/index.ts';
import { readMetadata } from '../wire/call-metadata.ts';
import { LinkProtocolBroken } from './errors.ts';
import type { HeaderBlock } from '../wire/http2/protocol.ts';
import type { AnswerSink } from './link-call.ts';
import { FrameFault } from '../wire/message-frame.ts';

/** Answer of a call with one message. */
export interface LinkUnaryResult {
  readonly message: Uint8Array;
  readonly headers: CallHeaders;
  readonly trailers: CallHeaders;
}

/** How a unary call is told its end. */
export interface UnaryOutcome {
  readonly resolve: (result: LinkUnaryResult) => void;
  readonly reject: (error: Error) => void;
}

/** Collects the one message of a unary answer. */
export class UnarySink implements AnswerSink {
  readonly #address: string;
  readonly #outcome: UnaryOutcome;
  #block: HeaderBlock | undefined;
  #message: Uint8Array | undefined;

  constructor(address: string, outcome: UnaryOutcome) {
    this.#address = address;
    this.#outcome = outcome;
  }

  onHeaders(block: HeaderBlock): void {
    this.#block = block;
  }

  /** @throws FrameFault at the second message, so that a server which sends for ever is told to stop. */
  onMessage(message: Uint8Array): void {
    if (this.#message !== undefined) throw new FrameFault('it has more than one message');
    this.#message = message;
  }

  onEnd(error: Error | undefined, trailers: HeaderBlock): void {
    const message = this.#message;
    if (error !== undefined) {
      this.#outcome.reject(error);
    } else if (message === undefined) {
      const fault = 'it has no message';
      this.#outcome.reject(new LinkProtocolBroken({ address: this.#address, fault }));
    } else {
      this.#outcome.resolve({
        message,
        headers: this.#block === undefined ? new Map<string, string>() : readMetadata(this.#block),
        trailers: readMetadata(trailers),
      });
    }
  }
}
