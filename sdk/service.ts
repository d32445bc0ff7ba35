import type { DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';

/** What a service implementation knows of the call it serves. */
export interface CallContext {
  /** Aborted when the caller cancels, the deadline passes, or the instance is stopped after its drain time. */
  readonly signal: AbortSignal;
  /**
   * Tells of the same without making a signal, which costs as much as a fifth of a small call; at once if it is so already.
   * Not there at every level of isolation: then there is only the signal.
   */
  onAbort?(listener: (reason: unknown) => void): void;
  /** Moment at which the caller stops waiting, in milliseconds since the epoch; `undefined` means never. */
  readonly deadlineMs: number | undefined;
  /** Id of this call, in logs and in `RequestInfo` of an internal error. */
  readonly requestId: string;
  /** Metadata the caller sent, keys in lower case. */
  readonly headers: CallHeaders;
  /** Metadata sent before the first response message; ignored once that is out. */
  readonly responseHeaders: CallHeaders;
  /** Metadata sent with the status. */
  readonly responseTrailers: CallHeaders;
  /** Address of the caller, or the id of the calling plugin. */
  readonly peer: string;
  /** The call's span, when it is traced and kept. Of plugins inside the kernel's thread only: others have none. */
  readonly span?: CallSpan | undefined;
}

/** A span of a call to which the plugin that serves it adds what it knows. */
export interface CallSpan {
  /** The span as the W3C Trace Context writes it, for links of other spans. */
  readonly traceparent: string;
  /** Adds a step that has ended as a span below this one. @returns its `traceparent` */
  child(step: SpanStep): string;
}

/** A part of the work on a call that has ended. */
export interface SpanStep {
  /** Name, for example `queue`. */
  readonly name: string;
  /** Begin in milliseconds since the epoch, with fractions. */
  readonly startMs: number;
  /** End in milliseconds since the epoch, with fractions. */
  readonly endMs: number;
  /** Facts about it. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  /** `traceparent` of other spans that it belongs to, for example of all calls that one batch serves. */
  readonly links?: readonly string[];
}

/** Call metadata: lower-case key to value; `Uint8Array` for keys that end in `-bin`. */
export type CallHeaders = Map<string, string | Uint8Array>;

/** How one method is implemented, by its kind. */
export type MethodImplementation<Method extends DescMethod> = Method extends {
  methodKind: 'unary';
}
  ? (
      request: MessageShape<Method['input']>,
      context: CallContext,
    ) => MessageInitShape<Method['output']> | Promise<MessageInitShape<Method['output']>>
  : Method extends { methodKind: 'server_streaming' }
    ? (
        request: MessageShape<Method['input']>,
        context: CallContext,
      ) => AsyncIterable<MessageInitShape<Method['output']>>
    : Method extends { methodKind: 'client_streaming' }
      ? (
          requests: AsyncIterable<MessageShape<Method['input']>>,
          context: CallContext,
        ) => Promise<MessageInitShape<Method['output']>>
      : Method extends { methodKind: 'bidi_streaming' }
        ? (
            requests: AsyncIterable<MessageShape<Method['input']>>,
            context: CallContext,
          ) => AsyncIterable<MessageInitShape<Method['output']>>
        : never;

/** A whole service: one function a method, named as in the generated descriptor (`getModel`). */
export type ServiceImplementation<Service extends DescService> = {
  [Name in keyof Service['method']]: MethodImplementation<Service['method'][Name]>;
};

/** Messages of one method as bytes, written by hand where what is made from the descriptor costs too much. */
export interface MethodCodec<Method extends DescMethod> {
  /** Reads a request. Must give what the descriptor's would. @throws Error when the bytes are none */
  readonly readRequest?: (bytes: Uint8Array) => MessageShape<Method['input']>;
  /** Writes an answer. */
  readonly writeResponse?: (answer: MessageInitShape<Method['output']>) => Uint8Array;
}

/** Codecs of some methods of a service. */
export type ServiceCodecs<Service extends DescService> = {
  readonly [Name in keyof Service['method']]?: MethodCodec<Service['method'][Name]>;
};

/** Options of one outgoing call. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal;
  /** Time the call may take, in milliseconds; the caller's own remaining deadline applies when it is shorter. */
  readonly timeoutMs?: number;
  /** Metadata to send. */
  readonly headers?: Iterable<readonly [string, string | Uint8Array]>;
  /**
   * The call on whose behalf this one is made: its signal, remaining deadline and trace headers are passed on.
   * Give it in every service method that calls further.
   */
  readonly context?: CallContext;
}

/** How one method is called, by its kind. */
export type MethodClient<Method extends DescMethod> = Method extends { methodKind: 'unary' }
  ? (
      request: MessageInitShape<Method['input']>,
      options?: CallOptions,
    ) => Promise<MessageShape<Method['output']>>
  : Method extends { methodKind: 'server_streaming' }
    ? (
        request: MessageInitShape<Method['input']>,
        options?: CallOptions,
      ) => AsyncIterable<MessageShape<Method['output']>>
    : Method extends { methodKind: 'client_streaming' }
      ? (
          requests: AsyncIterable<MessageInitShape<Method['input']>>,
          options?: CallOptions,
        ) => Promise<MessageShape<Method['output']>>
      : Method extends { methodKind: 'bidi_streaming' }
        ? (
            requests: AsyncIterable<MessageInitShape<Method['input']>>,
            options?: CallOptions,
          ) => AsyncIterable<MessageShape<Method['output']>>
        : never;

/** Typed client of a service, made by `host.call(Service)`. */
export type Client<Service extends DescService> = {
  [Name in keyof Service['method']]: MethodClient<Service['method'][Name]>;
};
