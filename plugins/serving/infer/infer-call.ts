import type { Cancellation } from './cancellation.ts';
import type { WantedOutput } from './classification.ts';
import type { InferInput } from './infer-input.ts';
import type { SequencePlace } from './sequence-parameters.ts';

/** One request for a model. */
export interface InferCall {
  /** Inputs. */
  readonly inputs: readonly InferInput[];
  /** Outputs that are wanted; empty means all, as they are. */
  readonly outputs: readonly WantedOutput[];
  /** Tells when nobody waits any more. */
  readonly cancellation: Cancellation;
  /** Moment after which nobody waits for the answer, in milliseconds since the epoch. */
  readonly deadlineMs?: number | undefined;
  /** Longest time in the queue in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Priority from 1, the highest; 0 for the default of the model. */
  readonly priority?: number | undefined;
  /** The sequence that it belongs to, if any. */
  readonly sequence?: SequencePlace | undefined;
  /** How many ensembles it came through. */
  readonly depth?: number | undefined;
}
