/** State of one version of a model, in Triton's words. */
export interface ModelState {
  /** Model name. */
  readonly name: string;
  /** Version number; empty when none is loaded. */
  readonly version: string;
  /** `READY`, `LOADING`, `UNLOADING` or `UNAVAILABLE`. */
  readonly state: string;
  /** Why it is unavailable. */
  readonly reason: string;
}
