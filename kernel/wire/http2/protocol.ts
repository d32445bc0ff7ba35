/** Numbers of HTTP/2, RFC 9113, as far as gRPC meets them. */

/** Frame types, section 6. */
export const FrameType = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Frame flags; one bit means different things in different frames. */
export const Flag = { endStream: 1, acknowledgement: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

/** Settings, section 6.5.2. */
export const Setting = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Error codes, section 7. */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
} as const;

/** Bytes of a frame's head: length, type, flags, stream. */
export const HEAD_BYTES = 9;

/** Longest payload of a frame unless its reader allows more; we never do. */
export const FRAME_LIMIT_BYTES: number = 16 * 1024;

/** Window of a stream and of the connection before anybody changes it. */
export const DEFAULT_WINDOW_BYTES = 65_535;

/** Largest window, and largest stream id. */
export const LIMIT_31_BITS: number = 2 ** 31 - 1;

/** Fields of a header block by name; values of a repeated name are joined by commas. */
export type HeaderBlock = Readonly<Record<string, string>>;

/** What a client sends first, section 3.4. */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** The other side broke HTTP/2 in a way that the connection does not survive. */
export class Http2Fault extends Error {
  /** One of {@link ErrorCode}, told to the other side. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A header block that can be read, so that others can follow it, but means nothing. */
export class MalformedHeaders extends Http2Fault {}
