import type { CallHeaders, Code } from '../sdk/index.ts';

/** What a {@link StatusError} is made from. */
export interface StatusErrorInit {
  /** gRPC status of the call; never OK. */
  readonly code: Code;
  /** Text of `grpc-message`, decoded. */
  readonly message: string;
  /** Serialised `google.rpc.Status`, as `grpc-status-details-bin` carried it. */
  readonly detailsBin?: Uint8Array | undefined;
  /** Metadata that came with the status, without the `grpc-status*` and `grpc-message` keys. */
  readonly trailers?: CallHeaders | undefined;
  /** What led here; for the log only. */
  readonly cause?: unknown;
}

/**
 * A call's final status as it stands on the wire: what a plugin process answered, or what the transport made of its
 * silence. The kernel passes it on to the caller byte for byte.
 */
export class StatusError extends Error {
  /** gRPC status code. */
  readonly code: Code;
  /** See {@link StatusErrorInit.detailsBin}. */
  readonly detailsBin: Uint8Array | undefined;
  /** See {@link StatusErrorInit.trailers}. */
  readonly trailers: CallHeaders;

  constructor(init: StatusErrorInit) {
    super(init.message, init.cause === undefined ? {} : { cause: init.cause });
    this.name = 'StatusError';
    this.code = init.code;
    this.detailsBin = init.detailsBin;
    this.trailers = init.trailers ?? new Map();
  }
}
