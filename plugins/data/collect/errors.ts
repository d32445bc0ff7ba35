import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A source cannot be read at all. */
export const SourceUnreadable: ErrorType<'source' | 'problem'> = defineError({
  reason: 'SOURCE_UNREADABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ source, problem }) => `${source} cannot be read: ${problem}.`,
});

/** Too many rows are broken. */
export const TooManyRejectedRows: ErrorType<'rejected' | 'limit' | 'first'> = defineError({
  reason: 'TOO_MANY_REJECTED_ROWS',
  code: Code.FAILED_PRECONDITION,
  message: ({ rejected, limit, first }) =>
    `${rejected} rows are broken, more than the ${limit} allowed, and nothing was stored; the first: ${first}. Correct the source or raise max_rejected_rows.`,
});

/** The kind of source is declared but not built yet. */
export const SourceUnsupported: ErrorType<'kind' | 'supported'> = defineError({
  reason: 'SOURCE_UNSUPPORTED',
  code: Code.UNIMPLEMENTED,
  message: ({ kind, supported }) =>
    `Sources of kind '${kind}' cannot be collected yet; there is: ${supported}.`,
});

/** A request that names no source. */
export const CollectInvalid: ErrorType<'problem'> = defineError({
  reason: 'COLLECT_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `Nothing was collected: ${problem}.`,
});
