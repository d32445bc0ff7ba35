/** Limits of an HTTP listener. Times in milliseconds, sizes in bytes. */
export interface HttpListenerLimits {
  /** Largest request body; default 64 MiB, which holds a batch of 100 colour images as raw tensors. */
  readonly maxBodyBytes: number;
  /** Request line and headers together; default 16 KiB as in Node. */
  readonly maxHeaderBytes: number;
  /** Open connections; default 10,000. Further ones are closed at once. */
  readonly maxConnections: number;
  /** Time for the headers to arrive; default 10 s, against clients that trickle them. */
  readonly headersTimeoutMs: number;
  /** Time for a whole request to arrive; default 5 min. */
  readonly requestTimeoutMs: number;
  /** Time without a byte of the body while the handler waits for one; default 30 s. */
  readonly bodyIdleTimeoutMs: number;
  /** Time a client may take to accept what was written; default 60 s. */
  readonly stallTimeoutMs: number;
  /** Idle time after which a kept connection is closed; default 65 s, above the 60 s of usual proxies. */
  readonly keepAliveTimeoutMs: number;
  /** Time for which the rest of a refused body is read and dropped; default 5 s. */
  readonly lingerMs: number;
  /** How often the first two times are checked; default 5 s. */
  readonly checkIntervalMs: number;
}

const DEFAULTS: HttpListenerLimits = {
  maxBodyBytes: 64 * 1024 * 1024,
  maxHeaderBytes: 16 * 1024,
  maxConnections: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 300_000,
  bodyIdleTimeoutMs: 30_000,
  stallTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000,
  lingerMs: 5000,
  checkIntervalMs: 5000,
};

/** Fills in what is not set. */
export function withDefaultLimits(limits: Partial<HttpListenerLimits> = {}): HttpListenerLimits {
  return { ...DEFAULTS, ...limits };
}
