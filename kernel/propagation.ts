import type { CallHeaders } from '../sdk/index.ts';

/**
 * Metadata that a call made on behalf of another takes over: trace contexts of W3C, OpenCensus and B3, ids and tenant.
 * Credentials never travel by themselves: whoever is called next would act for the caller without having been asked to.
 */
const PROPAGATED: readonly string[] = [
  'traceparent',
  'tracestate',
  'grpc-trace-bin',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'x-request-id',
  'lamella-tenant',
  'baggage',
];

/** Most that travels along, in characters or bytes: baggage may be 8,192 (W3C Baggage, section 3.3.2). */
const MAX_VALUE = 8_192;
const MAX_TOTAL = 16_384;

/** Which metadata travels along from call to call. */
export class Propagation {
  readonly #names: readonly string[];

  /** @param additional - Names of the operator, lower case; credentials are not among them. */
  constructor(additional: readonly string[] = []) {
    this.#names = [...new Set([...PROPAGATED, ...additional])];
  }

  /** Takes over what is on the list; what is too large is left out, trace contexts last. */
  carry(from: CallHeaders, to: CallHeaders): void {
    let total = 0;
    for (const name of this.#names) {
      const value = from.get(name);
      if (value === undefined || value.length > MAX_VALUE || total + value.length > MAX_TOTAL) continue;
      total += value.length;
      to.set(name, value);
    }
  }
}
