import { defineError, type ErrorType } from '../errors.ts';
import { Code } from '../status-code.ts';

/** Bytes that are not an Arrow IPC stream we can read. */
export const ArrowInvalid: ErrorType<'problem'> = defineError({
  reason: 'ARROW_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) =>
    `The rows are not a readable Arrow IPC stream: ${problem}; send an uncompressed stream of record batches.`,
});
