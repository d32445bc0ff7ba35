import { RequestInvalid } from './errors.ts';

/** Which sequence a request belongs to. */
export interface SequencePlace {
  /** Id that the caller chose: a number or a text. */
  readonly id: bigint | string;
  /** True for the first request of the sequence. */
  readonly start: boolean;
  /** True for its last one. */
  readonly end: boolean;
}

/**
 * The parameters `sequence_id`, `sequence_start` and `sequence_end`; `undefined` without an id, or with 0 or an empty one,
 * which mean no sequence.
 *
 * @param read - Gives the value of a parameter.
 * @throws REQUEST_INVALID
 */
export function readSequence(read: (name: string) => unknown): SequencePlace | undefined {
  const id = read('sequence_id');
  if (id === undefined) return undefined;
  const start = read('sequence_start') ?? false;
  const end = read('sequence_end') ?? false;
  if (typeof start !== 'boolean' || typeof end !== 'boolean') {
    throw new RequestInvalid({
      problem: "parameters 'sequence_start' and 'sequence_end' must be true or false",
    });
  }
  const known = idOf(id);
  return known === 0n || known === '' ? undefined : { id: known, start, end };
}

function idOf(id: unknown): bigint | string {
  if (typeof id === 'bigint' && id >= 0n) return id;
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return BigInt(id);
  if (typeof id === 'string' && id.length <= 128) return id;
  throw new RequestInvalid({
    problem: "parameter 'sequence_id' must be a whole number or a text of up to 128 characters",
  });
}
