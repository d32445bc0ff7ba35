import type { CallSpan } from 'lamella/sdk';
import type { Cancellation } from './cancellation.ts';
import type { WantedOutput } from './classification.ts';
import type { InferInput } from './infer-input.ts';
import type { SequencePlace } from './sequence-parameters.ts';

/** Parameters by name, as gRPC and JSON can carry them. */
export type RequestParameters = Readonly<Record<string, boolean | bigint | number | string | undefined>>;

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
  /** Id that the caller gave, or that of the call, for samples. */
  readonly requestId?: string | undefined;
  /** Where its steps are traced, when they are. */
  readonly span?: CallSpan | undefined;
  /** The sequence that it belongs to, if any. */
  readonly sequence?: SequencePlace | undefined;
  /** All parameters of a request for a decoupled model, whose backend may know more of them. */
  readonly parameters?: RequestParameters | undefined;
  /** How many ensembles it came through. */
  readonly depth?: number | undefined;
}
