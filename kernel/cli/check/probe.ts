import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { type CallHeaders, Code, codeName } from '../../../sdk/index.ts';
import type { LinkClient } from '../../link/link-client.ts';
import { methodPath } from '../../target.ts';

/** How a call ended. */
export interface Answer {
  /** Status, or `SILENT` when there was neither a message nor an end in time. */
  readonly code: Code | 'SILENT';
  readonly message: string;
}

/** What a call sends. */
export interface Question {
  /** Messages; one empty message by default. */
  readonly requests?: AsyncIterable<Uint8Array>;
  readonly headers?: CallHeaders;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** Longest wait for an answer, in milliseconds. */
const PATIENCE_MS = 5_000;

/** Calls methods whose messages it knows nothing of: every message type can be empty. */
export class Probe {
  readonly #link: LinkClient;
  readonly methods: readonly DescMethod[];

  constructor(link: LinkClient, services: readonly DescService[]) {
    this.#link = link;
    this.methods = services.flatMap((service) => service.methods);
  }

  get unaryMethods(): readonly DescMethod[] {
    return this.methods.filter(({ methodKind }) => methodKind === 'unary');
  }

  /** Methods whose calls stay open for as long as their requests do. */
  get openMethods(): readonly DescMethod[] {
    return this.methods.filter(
      ({ methodKind }) => methodKind === 'bidi_streaming' || methodKind === 'client_streaming',
    );
  }

  /** Calls and waits for the first message or the end. */
  async ask(method: DescMethod | string, question: Question = {}): Promise<Answer> {
    const path = typeof method === 'string' ? method : methodPath(method);
    const patience = AbortSignal.timeout(PATIENCE_MS);
    const { requests = one(EMPTY), signal, ...options } = question;
    const stream = this.#link.stream(path, requests, {
      ...options,
      signal: signal === undefined ? patience : AbortSignal.any([patience, signal]),
    });
    try {
      // Leaving the loop cancels the rest of a stream that may have no end.
      for await (const _message of stream) break;
      return { code: Code.OK, message: '' };
    } catch (error) {
      if (patience.aborted) return { code: 'SILENT', message: `nothing came within ${PATIENCE_MS} ms` };
      const { code, message } = error as { code?: unknown; message: string };
      if (typeof code !== 'number') throw error;
      return { code: code as Code, message };
    }
  }
}

const EMPTY: Uint8Array = new Uint8Array();

/** A stream of one message. */
export async function* one(message: Uint8Array): AsyncGenerator<Uint8Array> {
  yield message;
}

/** A stream that sends nothing and ends when it is told to. */
export function openRequests(): { requests: AsyncIterable<Uint8Array>; end: () => void } {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  // oxlint-disable-next-line require-yield -- it is there to be open
  async function* requests(): AsyncGenerator<Uint8Array> {
    await ended;
  }
  return { requests: requests(), end };
}

/** An answer in words. */
export function wordsOf({ code, message }: Answer): string {
  if (code === 'SILENT') return message;
  return message === '' ? codeName(code) : `${codeName(code)} (${message})`;
}
